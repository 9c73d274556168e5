//! The archive in a folder.

use gatelet_core::port::{Archive as _, FaultKind, Written};
use gatelet_server::archive::Folder;

const NAME: &str = "v1/date=2026-11-22/hour=17/main-1.ndjson.gz";

#[tokio::test]
async fn a_name_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Folder::open(folder.path().join("archive")).unwrap();
    assert_eq!(archive.read(NAME).await.unwrap(), None);
    assert_eq!(archive.write(NAME, "one".into()).await.unwrap(), Written::New);
    assert_eq!(archive.write(NAME, "two".into()).await.unwrap(), Written::Existed);
    assert_eq!(archive.read(NAME).await.unwrap().unwrap(), "one");
}

#[tokio::test]
async fn names_are_listed_in_the_order_of_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Folder::open(folder.path().to_owned()).unwrap();
    // `-` comes before `/`, and a folder's name is the beginning of its files' names.
    let names = ["v1/a-b/1", "v1/a/1", "v1/a/2", "v1/a0", "v1/b/c/1", "v2/a/1"];
    for name in names {
        archive.write(name, "x".into()).await.unwrap();
    }
    std::fs::write(folder.path().join("v1/.unfinished-9"), "x").unwrap();
    assert_eq!(archive.list("", None, 100).await.unwrap(), names);
    assert_eq!(archive.list("v1/a", None, 100).await.unwrap(), names[..4]);
    assert_eq!(archive.list("v1/a/", None, 100).await.unwrap(), names[1..3]);
    let mut pages: Vec<String> = Vec::new();
    loop {
        let page = archive.list("v", pages.last().map(String::as_str), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, names);
}

#[tokio::test]
async fn a_name_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "x").unwrap();
    let archive = Folder::open(folder.path().join("archive")).unwrap();
    for name in
        ["../secret", "v1/../../secret", "/etc/passwd", "", "v1\\..\\x", ".unfinished-1", "v1/.hidden"]
    {
        let fault = archive.read(name).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{name}");
        assert!(archive.write(name, "x".into()).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_was_not_finished_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = folder.path().join(".unfinished-3");
    std::fs::write(&unfinished, "half").unwrap();
    Folder::open(folder.path().to_owned()).unwrap();
    assert!(!unfinished.exists());
}
