//! The embedded store and the folder keep the rules that every host's ports keep.

use std::sync::Arc;

use gatelet_server::archive::Folder;
use gatelet_server::store::Embedded;
use gatelet_tests::conformance;

#[tokio::test]
async fn the_embedded_store_keeps_documents_as_every_store_does() {
    let folder = tempfile::tempdir().unwrap();
    conformance::store::all(Arc::new(Embedded::open(folder.path()).unwrap())).await.unwrap();
}

#[tokio::test]
async fn the_embedded_store_keeps_the_books_as_every_ledger_does() {
    let folder = tempfile::tempdir().unwrap();
    conformance::ledger::all(Arc::new(Embedded::open(folder.path()).unwrap())).await.unwrap();
}

/// The same while everything is moved into SQLite again and again, as it is every second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_are_kept_while_they_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let (writes, stop) = (store.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            writes.sync().unwrap();
        }
    });
    let kept = conformance::ledger::all(Arc::new(store)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
    kept.unwrap();
}

#[tokio::test]
async fn the_folder_keeps_blobs_as_every_archive_does() {
    let folder = tempfile::tempdir().unwrap();
    conformance::archive::all(Arc::new(Folder::open(folder.path().to_owned()).unwrap())).await.unwrap();
}
