//! From the paths that mem0's clients send to those that the router knows.
//!
//! The clients end every path with a slash and do not follow redirects; with a slash at the end of their host they begin it
//! with two. Ids stay percent-encoded until their segment is looked at, so that a slash in one is no separator.

use axum::http::{Request, Uri};

/// Where the face stands in the router, whatever it is called outside.
pub const HOME: &str = "/mem0";

/// What a request asked for before its path was made plain, for the links of an answer.
#[derive(Clone)]
pub struct Asked(pub Uri);

/// Whether a path is one of this face.
pub fn is_ours(path: &str) -> bool {
    rest(path, HOME).is_some()
}

/// Makes the path of a request plain, if it is one of this face. `prefix` is what the face is called outside.
pub fn plain<B>(request: &mut Request<B>, prefix: &str) {
    let path = request.uri().path();
    let Some(rest) = rest(path, prefix).or_else(|| rest(path, HOME)) else { return };
    // One slash at the end of the host makes two here.
    let rest = rest.trim_start_matches('/').trim_end_matches('/');
    let target = match request.uri().query() {
        Some(query) => format!("{HOME}/{rest}?{query}"),
        None => format!("{HOME}/{rest}"),
    };
    if let Ok(target) = target.parse() {
        let asked = std::mem::replace(request.uri_mut(), target);
        request.extensions_mut().insert(Asked(asked));
    }
}

/// What stands behind the prefix.
fn rest<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_whatever_slashes_surround_it() {
        let plain = |path: &str| {
            let mut request = Request::builder().uri(path).body(()).unwrap();
            super::plain(&mut request, "/remember");
            request.uri().to_string()
        };
        assert_eq!(plain("/mem0/v1/ping/"), "/mem0/v1/ping");
        assert_eq!(plain("/mem0//v1/ping/?a=b"), "/mem0/v1/ping?a=b");
        assert_eq!(plain("/remember/v1/ping"), "/mem0/v1/ping");
        assert_eq!(plain("/mem0/v2/entities/user/u%2F1%20x/"), "/mem0/v2/entities/user/u%2F1%20x");
        assert_eq!(plain("/mem0/v1/memories//"), "/mem0/v1/memories");
        assert_eq!(plain("/mem0"), "/mem0/");
        assert_eq!(plain("/mem0x/v1/"), "/mem0x/v1/");
        assert_eq!(plain("/api/me/memories/"), "/api/me/memories/");
    }
}
