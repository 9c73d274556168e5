use super::*;

fn frames(pieces: &[&[u8]]) -> Vec<Result<String, Malformed>> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            found.push(frame.map(|frame| frame.data.to_owned()));
        }
    }
    if let Some(frame) = framer.finish() {
        found.push(frame.map(|frame| frame.data.to_owned()));
    }
    found
}

#[test]
fn any_split_gives_the_same_lines() {
    let bytes = "{\"a\":\"ü\"}\n\n{\"b\":2}\r\n{\"c\":3}".as_bytes();
    let whole = frames(&[bytes]);
    assert_eq!(whole.len(), 4);
    assert_eq!(whole[0].as_deref(), Ok("{\"a\":\"ü\"}"));
    assert_eq!(whole[1].as_deref(), Ok(""));
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(frames(&[left, right]), whole, "cut at {at}");
    }
}

#[test]
fn a_last_line_in_the_midst_of_its_json_is_truncated() {
    assert_eq!(frames(&[b"{\"a\":1}\n{\"b\""]).last(), Some(&Err(Malformed::Truncated)));
}

#[test]
fn a_line_that_is_no_text_is_corrupt_and_the_next_one_is_read() {
    let found = frames(&[b"\xff\n{\"b\":2}\n"]);
    assert_eq!(found[0], Err(Malformed::Utf8 { at: 0 }));
    assert_eq!(found[1].as_deref(), Ok("{\"b\":2}"));
}

#[test]
fn a_line_without_end_is_not_kept() {
    let mut framer = Framer::default();
    framer.push(&vec![b'x'; Framer::MOST + 1]);
    assert!(matches!(framer.next(), Some(Err(Malformed::FrameTooLong { .. }))));
    framer.push(b"{}\n");
    assert!(framer.next().is_none());
}
