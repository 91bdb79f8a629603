//! One error for the whole product: a [`Code`] for programs, a sentence for people, and what to do next.
//!
//! The variants are told apart by what a caller can do about them. The sentence goes out to the caller, so it never
//! holds another user's id, SQL, a path or a key; the cause underneath stays in [`std::error::Error::source`] for the log.

use std::borrow::Cow;
use std::fmt;

/// What every fallible operation answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was refused or failed, as a stable word that clients may match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    // Sign in.
    /// No credential, or one that does not verify.
    Unauthenticated,
    /// The owner's space was erased and this credential is older than the erasure.
    SpaceErased,
    // Go elsewhere.
    /// The space has been moved to another installation.
    SpaceMoved,
    // Ask for less, or for something else.
    /// The request names somebody else's space.
    NotYourSpace,
    /// The principal is known, and may not do this.
    NotAllowed,
    /// An operator has suspended the space.
    SpaceSuspended,
    /// No such thing in this space. Says the same whether it exists elsewhere or nowhere.
    NotFound,
    /// A bound of [`crate::limit`] is exceeded.
    TooLarge,
    /// The space's quota is used up.
    QuotaExceeded,
    // Fix the request.
    /// The request does not say what it should.
    Invalid,
    /// The resource has no such method.
    NoSuchMethod,
    /// The thing exists already, or was changed meanwhile.
    Conflict,
    /// The space's vectors were made by another model than the one configured.
    ModelMismatch,
    // Try later.
    /// Too many requests from this principal.
    RateLimited,
    /// The server has no room for more work just now.
    Overloaded,
    /// Another writer holds the space.
    Busy,
    /// The space is being moved, and takes no changes meanwhile.
    SpaceMoving,
    /// The request ran out of time.
    Deadline,
    /// The embedding endpoint did not answer as it should.
    ProviderUnavailable,
    /// The database that keeps the space does not answer.
    BackendUnavailable,
    /// The disk is full.
    StorageFull,
    // Give up, and tell the operator.
    /// The disk failed under this space.
    StorageError,
    /// The space's file does not verify. It is kept as it is.
    SpaceCorrupt,
    /// The space's key is missing, or the master key does not open it.
    KeyUnavailable,
    /// The space was written by a newer version of the program.
    SchemaTooNew,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// The word as it stands on the wire and in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Unauthenticated => "unauthenticated",
            Code::SpaceErased => "space_erased",
            Code::SpaceMoved => "space_moved",
            Code::NotYourSpace => "not_your_space",
            Code::NotAllowed => "not_allowed",
            Code::SpaceSuspended => "space_suspended",
            Code::NotFound => "not_found",
            Code::TooLarge => "too_large",
            Code::QuotaExceeded => "quota_exceeded",
            Code::Invalid => "invalid",
            Code::NoSuchMethod => "no_such_method",
            Code::Conflict => "conflict",
            Code::ModelMismatch => "model_mismatch",
            Code::RateLimited => "rate_limited",
            Code::Overloaded => "overloaded",
            Code::Busy => "busy",
            Code::SpaceMoving => "space_moving",
            Code::Deadline => "deadline_exceeded",
            Code::ProviderUnavailable => "provider_unavailable",
            Code::BackendUnavailable => "backend_unavailable",
            Code::StorageFull => "storage_full",
            Code::StorageError => "storage_error",
            Code::SpaceCorrupt => "space_corrupt",
            Code::KeyUnavailable => "key_unavailable",
            Code::SchemaTooNew => "schema_too_new",
            Code::Internal => "internal",
        }
    }

    /// Seconds after which trying again may help, where it may.
    pub const fn retry_after_s(self) -> Option<u32> {
        match self {
            Code::RateLimited | Code::Overloaded | Code::Busy | Code::BackendUnavailable => Some(1),
            Code::ProviderUnavailable | Code::SpaceMoving => Some(5),
            Code::StorageFull | Code::StorageError | Code::QuotaExceeded => Some(60),
            Code::SpaceCorrupt | Code::KeyUnavailable | Code::SchemaTooNew => Some(300),
            _ => None,
        }
    }
}

/// A refusal or a fault, with a sentence that may be shown to whoever asked.
pub struct Error {
    code: Code,
    detail: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a sentence that says what to do next.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Error { code, detail: detail.into(), source: None }
    }

    /// The same error with what lies under it, for the log only.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The request is wrong in a way its sender can mend.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Code::Invalid, detail)
    }

    /// No usable credential. The sentence never says which check failed beyond its kind.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Code::Unauthenticated, detail)
    }

    /// The one answer for an object that is not in the caller's space, foreign and unknown alike.
    pub fn not_found() -> Self {
        Error::new(Code::NotFound, "There is nothing with this id in this space.")
    }

    /// The one answer to a request that names somebody else, whether that user exists or not.
    pub fn not_your_space() -> Self {
        Error::new(Code::NotYourSpace, "This credential does not open that space. Use `me`, or your own id.")
    }

    /// The one answer to a change while the space is carried elsewhere.
    pub fn moving() -> Self {
        Error::new(
            Code::SpaceMoving,
            "This space is being moved. Nothing can be changed until it is. Try again in a moment.",
        )
    }

    /// The one answer where a space was and is no more.
    pub fn moved() -> Self {
        Error::new(Code::SpaceMoved, "This space has been moved to another installation. Nothing of it is kept here.")
    }

    /// A fault of ours; the cause goes to the log.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::new(Code::Internal, "Something went wrong on our side. The request id finds it in the log.")
            .because(source)
    }

    /// What kind of refusal or fault this is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence for the caller.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)?;
        let mut cause = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(source) = cause {
            write!(f, ": {source}")?;
            cause = source.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
