//! What is wrong with a name that leads to no public address.

/// Everything that a name resolved to is private.
#[derive(Debug)]
pub(super) struct NotPublic(pub(super) String);

impl NotPublic {
    /// An `io::Error` does not name what it was made of as its source.
    pub(super) fn is_in(error: &std::io::Error) -> bool {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).is_some()
    }
}

impl std::fmt::Display for NotPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} has no public address", self.0)
    }
}

impl std::error::Error for NotPublic {}
