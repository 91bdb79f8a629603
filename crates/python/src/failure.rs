//! Errors on their way to Python: the classes are in `locule.errors`, which also makes them from what a server answers.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// What went wrong, in words of the library or of this module.
pub enum Failure {
    /// A refusal or a fault of the library.
    Refused(locule::Error),
    /// The installation was closed.
    Closed,
    /// The installation was opened before this process was forked.
    Forked,
    /// Python itself raised, in a callback of ours.
    Raised(PyErr),
}

impl From<locule::Error> for Failure {
    fn from(error: locule::Error) -> Self {
        Failure::Refused(error)
    }
}

impl Failure {
    /// The exception.
    pub fn raise(self, py: Python<'_>) -> PyErr {
        let (code, detail, retry_after_s, trace) = match &self {
            Failure::Refused(error) => {
                let code = error.code();
                (code.as_str(), error.detail(), code.retry_after_s(), Some(format!("{error:?}")))
            }
            Failure::Closed => ("closed", "This installation was closed. Open it again.", None, None),
            Failure::Forked => (
                "forked",
                "This process was forked from one that had Locule open, and a database does not survive that. Open it after \
                 the fork, close it before, or start processes with `spawn`.",
                None,
                None,
            ),
            Failure::Raised(error) => return error.clone_ref(py),
        };
        match make(py, code, detail, retry_after_s, trace) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }
}

fn make<'py>(
    py: Python<'py>,
    code: &str,
    detail: &str,
    retry_after_s: Option<u32>,
    trace: Option<String>,
) -> PyResult<Bound<'py, PyAny>> {
    static FROM_CODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FROM_CODE.import(py, "locule.errors", "from_code")?.call1((code, detail, retry_after_s, trace))
}
