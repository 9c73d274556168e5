//! Forms, cut anywhere.

use proptest::prelude::*;

use super::Form;

fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
    let mut out = String::new();
    for (name, file, value) in parts {
        out.push_str("--XX\r\nContent-Disposition: form-data; name=\"");
        out.push_str(name);
        out.push('"');
        if let Some(file) = file {
            out.push_str("; filename=\"");
            out.push_str(file);
            out.push_str("\"\r\nContent-Type: audio/mpeg");
        }
        out.push_str("\r\n\r\n");
        out.push_str(value);
        out.push_str("\r\n");
    }
    out + "--XX--\r\n"
}

#[test]
fn fields_before_the_file_are_known_before_it_has_come() {
    let body =
        form(&[("model", None, "whisper"), ("language", None, "de"), ("file", Some("a.mp3"), "0123456789")]);
    let cut = body.find("01234").unwrap_or_default() + 3;
    let read = Form::read("XX", &body.as_bytes()[..cut]).unwrap();
    assert_eq!(read.text(body.as_bytes(), "model"), Some("whisper"));
    assert_eq!(read.text(body.as_bytes(), "language"), Some("de"));
    assert!(read.file && !read.ended);
    let whole = Form::read("XX", body.as_bytes()).unwrap();
    assert!(whole.file && whole.ended);
    let other = String::from_utf8(whole.splice(body.as_bytes(), "model", "x")).unwrap();
    assert_eq!(other, body.replace("whisper", "x"));
}

#[test]
fn fields_are_taken_out_and_put_in() {
    let body = form(&[("model", None, "whisper"), ("language", None, "de"), ("file", Some("a.mp3"), "0123")]);
    let bytes = body.as_bytes();
    let read = Form::read("XX", bytes).unwrap();
    let without = |name| String::from_utf8(read.without(bytes, name)).unwrap();
    assert_eq!(without("model"), form(&[("language", None, "de"), ("file", Some("a.mp3"), "0123")]));
    assert_eq!(without("language"), form(&[("model", None, "whisper"), ("file", Some("a.mp3"), "0123")]));
    assert_eq!(without("nothing"), body);
    let with = String::from_utf8(Form::with(bytes, "XX", "n", "1")).unwrap();
    assert!(
        with.ends_with(&body)
            && Form::read("XX", with.as_bytes()).unwrap().text(with.as_bytes(), "n") == Some("1")
    );
}

#[test]
fn what_is_no_form_is_refused() {
    for body in ["", "--X"] {
        assert_eq!(Form::read("XX", body.as_bytes()), Ok(Form::default()), "{body}");
    }
    for body in ["{}", "--YY\r\n", "--XXyy", "--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--"] {
        assert!(Form::read("XX", body.as_bytes()).is_err(), "{body}");
    }
    let twice = form(&[("model", None, "a"), ("model", None, "b")]);
    assert!(Form::read("XX", twice.as_bytes()).is_err());
    assert_eq!(Form::boundary("multipart/form-data; boundary=\"a b\""), Some("a b"));
    assert_eq!(Form::boundary("Multipart/Form-Data;charset=x; Boundary=ab"), Some("ab"));
    assert_eq!(Form::boundary("multipart/form-data"), None);
    assert_eq!(Form::boundary("application/json; boundary=a"), None);
}

proptest! {
    #[test]
    fn a_cut_anywhere_says_nothing_wrong(cut in 0_usize..400, value in "[ -~\\r\\n]{0,40}") {
        prop_assume!(!value.contains("\r\n--XX"));
        let body = form(&[("model", None, "m"), ("prompt", None, &value), ("file", Some("f"), "data"), ("n", None, "2")]);
        let body = body.as_bytes();
        let part = Form::read("XX", &body[..cut.min(body.len())]).unwrap();
        let whole = Form::read("XX", body).unwrap();
        prop_assert!(whole.ended);
        for name in ["model", "prompt", "n"] {
            let early = part.text(body, name);
            prop_assert!(early.is_none() || early == whole.text(body, name), "{name}: {early:?}");
        }
        prop_assert_eq!(whole.text(body, "prompt"), Some(value.as_str()));
    }
}
