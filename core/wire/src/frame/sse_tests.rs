use super::*;

type Owned = (Option<String>, String);

fn drain(cutter: &mut Framer, frames: &mut Vec<Result<Owned, Malformed>>, raw: &mut Vec<u8>) {
    while let Some(frame) = cutter.next() {
        frames.push(frame.map(|frame| {
            raw.extend_from_slice(frame.raw);
            (frame.name.map(str::to_owned), frame.data.to_owned())
        }));
    }
}

/// The frames with data of `pieces`, and all raw bytes.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Result<Owned, Malformed>>, Vec<u8>) {
    let (mut cutter, mut frames, mut raw) = (Framer::default(), Vec::new(), Vec::new());
    for piece in pieces {
        cutter.push(piece);
        drain(&mut cutter, &mut frames, &mut raw);
    }
    if let Some(last) = cutter.finish() {
        frames.push(last.map(|frame| {
            raw.extend_from_slice(frame.raw);
            (frame.name.map(str::to_owned), frame.data.to_owned())
        }));
    }
    frames.retain(|frame| frame.as_ref().map_or(true, |(_, data)| !data.is_empty()));
    (frames, raw)
}

fn data(text: &str) -> Vec<String> {
    read([text.as_bytes()]).0.into_iter().map(|frame| frame.unwrap().1).collect()
}

const MIXED: &str = "\u{FEFF}: hello\n\ndata: {\"t\":\"naïve\"}\n\nevent: ping\r\ndata:{\"u\":\"日本\"}\r\n\r\n\
    data: a\rdata: b\r\rdata:\n\n\n: OPENROUTER PROCESSING\n\nid: 7\nretry: 10\nevent:x\ndata: 🦀\n\ndata: [DONE]\n\n";

#[test]
fn any_split_of_the_bytes_gives_the_same_frames_and_all_raw_bytes() {
    let bytes = MIXED.as_bytes();
    let whole = read([bytes]);
    assert_eq!(whole.1, bytes);
    assert_eq!(whole.0.len(), 5);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(read([left, right]), whole, "cut at {cut}");
    }
    assert_eq!(read(bytes.chunks(1)), whole);
    assert_eq!(read(bytes.chunks(3)), whole);
}

#[test]
fn names_and_joined_lines_are_read() {
    let frames: Vec<Owned> = read([MIXED.as_bytes()]).0.into_iter().map(Result::unwrap).collect();
    let of = |name: Option<&str>, data: &str| (name.map(str::to_owned), data.to_owned());
    assert_eq!(
        frames,
        [
            of(None, "{\"t\":\"naïve\"}"),
            of(Some("ping"), "{\"u\":\"日本\"}"),
            of(None, "a\nb"),
            of(Some("x"), "🦀"),
            of(None, "[DONE]"),
        ]
    );
}

#[test]
fn a_comment_is_a_frame_without_data_whose_bytes_can_be_passed_on() {
    let mut cutter = Framer::default();
    cutter.push(b": keep-alive\n\n");
    let frame = cutter.next().unwrap().unwrap();
    assert_eq!((frame.data, frame.raw), ("", b": keep-alive\n\n".as_slice()));
    assert!(cutter.next().is_none());
}

#[test]
fn a_frame_is_given_as_soon_as_its_blank_line_is_there() {
    let mut cutter = Framer::default();
    cutter.push(b"data: 1\r\n\r");
    assert_eq!(cutter.next().unwrap().unwrap().data, "1");
    cutter.push(b"\ndata: 2\r\n\r\n");
    assert_eq!(cutter.next().unwrap().unwrap().data, "2");
    assert!(cutter.next().is_none());
    assert!(cutter.finish().is_none());
}

#[test]
fn empty_data_lines_join_to_line_feeds() {
    assert_eq!(data("data: a\ndata:\ndata: b\n\n"), ["a\n\nb"]);
}

#[test]
fn a_bare_json_line_counts_as_data() {
    assert_eq!(data("{\"error\":{\"message\":\"no\"}}\n\n"), ["{\"error\":{\"message\":\"no\"}}"]);
}

#[test]
fn the_last_event_may_lack_its_blank_line() {
    assert_eq!(data("data: {\"a\":1}\n\ndata: [DONE]"), ["{\"a\":1}", "[DONE]"]);
    assert_eq!(data("data: {\"a\":1}"), ["{\"a\":1}"]);
}

#[test]
fn bytes_that_end_in_the_midst_of_json_are_truncated() {
    assert_eq!(read([b"data: {\"a\":".as_slice()]).0, [Err(Malformed::Truncated)]);
    assert_eq!(read([b"data: [DON".as_slice()]).0, [Err(Malformed::Truncated)]);
    assert_eq!(read([b"data: {\"a\":\"\xE6\x97".as_slice()]).0, [Err(Malformed::Truncated)]);
}

#[test]
fn invalid_utf8_fails_its_own_frame_only() {
    let (frames, _) = read([b"data: a\xFFb\n\ndata: c\n\n".as_slice()]);
    assert_eq!(frames, [Err(Malformed::Utf8 { at: 1 }), Ok((None, "c".to_owned()))]);
}

#[test]
fn a_frame_without_end_is_refused_and_nothing_follows() {
    let mut cutter = Framer::default();
    let piece = vec![b'x'; 1 << 20];
    cutter.push(b"data: ");
    for _ in 0..16 {
        cutter.push(&piece);
    }
    assert_eq!(cutter.next(), Some(Err(Malformed::FrameTooLong { most: Framer::MOST })));
    cutter.push(b"\n\ndata: 1\n\n");
    assert!(cutter.next().is_none());
    let mut cutter = Framer::default();
    for _ in 0..17 {
        cutter.push(b"data: ");
        cutter.push(&piece);
        cutter.push(b"\n");
    }
    assert_eq!(cutter.next(), Some(Err(Malformed::FrameTooLong { most: Framer::MOST })));
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_never_matter(text in "(data|event|: c|id|[{]\"a\")?(:| |: )?[a-zé🦀]{0,3}(\n|\r|\r\n|\n\n|\r\n\r\n|\r\r){0,2}", repeat in 1usize..6, sizes in proptest::collection::vec(1usize..9, 1..20)) {
            let bytes = text.repeat(repeat).into_bytes();
            let whole = read([bytes.as_slice()]);
            let (mut rest, mut pieces, mut sizes) = (bytes.as_slice(), Vec::new(), sizes.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(read(pieces), whole);
        }
    }
}
