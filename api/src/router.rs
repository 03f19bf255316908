//! From method and path to an endpoint. Paths are matched by matchit; what HTTP says about methods (405 with `Allow`,
//! HEAD wherever GET is, OPTIONS everywhere) is decided here, once, from the same table.
//!
//! Trailing slash: `/api/genres/` is not `/api/genres`. It is answered 308 towards the path without the slash, which
//! keeps method and body; only towards paths of the table, so nothing can be redirected to another host.

use crate::http::{Ctx, Outcome, Params};
use ::http::{HeaderValue, Method};
use futures_util::future::BoxFuture;

/// Who may call an endpoint, and what the pipeline does before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; credentials are not even looked at, and nothing is counted: the page and the probes.
    Open,
    /// Anybody within the limits; a valid session is passed on, a missing one is fine.
    Public,
    /// Only with a valid session; else 401.
    Session,
    /// Like [`Access::Session`], but the request never moves the session's expiry.
    ReadOnlySession,
}

/// What an endpoint does.
pub enum Action {
    /// Takes a request, gives an answer.
    Handler(Box<dyn Fn(Ctx) -> BoxFuture<'static, Outcome> + Send + Sync>),
    /// Turns the connection into a WebSocket.
    Socket,
    /// Begins an event stream.
    Events,
}

/// One line of the table.
pub struct Endpoint {
    /// Who may call it.
    pub access: Access,
    /// What it does.
    pub action: Action,
}

/// A path of the table, with its methods.
struct Node {
    template: &'static str,
    methods: Vec<(Method, Endpoint)>,
    allow: HeaderValue,
}

/// What the table says about a request.
pub enum Found<'a> {
    /// Run this.
    Endpoint {
        /// What to run.
        endpoint: &'a Endpoint,
        /// The path as the table writes it, for logs and metrics.
        template: &'static str,
        /// The path's variable parts.
        params: Params,
    },
    /// The path exists, but not with this method; or all paths are asked what they answer (`OPTIONS *`).
    WrongMethod {
        /// The path as the table writes it.
        template: &'static str,
        /// What it does answer, for `Allow`.
        allow: &'a HeaderValue,
    },
    /// The path exists without its trailing slash.
    Slash(String),
    /// There is no such path.
    Nothing,
}

impl Found<'_> {
    /// The label for logs and metrics: never a raw path, of which there are endlessly many.
    pub fn template(&self) -> &'static str {
        match self {
            Self::Endpoint { template, .. } | Self::WrongMethod { template, .. } => template,
            Self::Slash(_) | Self::Nothing => "(unmatched)",
        }
    }
}

/// The table, ready to be asked.
pub struct Router {
    paths: matchit::Router<usize>,
    nodes: Vec<Node>,
    /// What some path of the table answers: `Allow` of the server as a whole.
    allow: HeaderValue,
}

/// The table while it is written.
#[derive(Default)]
#[must_use = "a table answers nothing until it is built"]
pub struct Table {
    nodes: Vec<(&'static str, Vec<(Method, Endpoint)>)>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers GET, and with it HEAD.
    pub fn get<F>(self, path: &'static str, access: Access, handler: fn(Ctx) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.add(Method::GET, path, access, handler)
    }

    /// Answers POST.
    pub fn post<F>(self, path: &'static str, access: Access, handler: fn(Ctx) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.add(Method::POST, path, access, handler)
    }

    /// Answers PUT.
    pub fn put<F>(self, path: &'static str, access: Access, handler: fn(Ctx) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.add(Method::PUT, path, access, handler)
    }

    /// Answers PATCH.
    pub fn patch<F>(self, path: &'static str, access: Access, handler: fn(Ctx) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.add(Method::PATCH, path, access, handler)
    }

    /// Answers DELETE.
    pub fn delete<F>(self, path: &'static str, access: Access, handler: fn(Ctx) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.add(Method::DELETE, path, access, handler)
    }

    /// Answers a request for an event stream.
    pub fn events(self, path: &'static str) -> Self {
        self.put_endpoint(Method::GET, path, Endpoint { access: Access::Open, action: Action::Events })
    }

    /// Answers a WebSocket's upgrade.
    pub fn socket(self, path: &'static str) -> Self {
        self.put_endpoint(Method::GET, path, Endpoint { access: Access::Open, action: Action::Socket })
    }

    fn add<F>(self, method: Method, path: &'static str, access: Access, handler: fn(Ctx) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let action = Action::Handler(Box::new(move |ctx| Box::pin(handler(ctx))));
        self.put_endpoint(method, path, Endpoint { access, action })
    }

    fn put_endpoint(mut self, method: Method, path: &'static str, endpoint: Endpoint) -> Self {
        match self.nodes.iter_mut().find(|(known, _)| *known == path) {
            Some((_, methods)) => {
                assert!(methods.iter().all(|(known, _)| *known != method), "{method} {path} is in the table twice");
                methods.push((method, endpoint));
            }
            None => self.nodes.push((path, vec![(method, endpoint)])),
        }
        self
    }

    /// Ready to be asked. Panics if two paths contradict each other: a bug that the first test finds.
    pub fn build(self) -> Router {
        let mut paths = matchit::Router::new();
        let mut nodes = Vec::new();
        let all = allow(self.nodes.iter().flat_map(|(_, methods)| methods));
        for (template, methods) in self.nodes {
            paths.insert(template, nodes.len()).expect("the table's paths do not contradict each other");
            let allow = allow(&methods);
            nodes.push(Node { template, methods, allow });
        }
        Router { paths, nodes, allow: all }
    }
}

fn allow<'a>(methods: impl IntoIterator<Item = &'a (Method, Endpoint)>) -> HeaderValue {
    let methods: Vec<_> = methods.into_iter().collect();
    let has = |method: &Method| methods.iter().any(|(known, _)| known == method);
    // HEAD comes with GET, except for sockets and event streams: there is nothing to have the head of.
    let head = methods.iter().any(|(method, endpoint)| method == Method::GET && endpoint.has_head());
    let listed = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let answered = listed.iter().filter(|method| match **method {
        Method::HEAD => head,
        Method::OPTIONS => true,
        ref method => has(method),
    });
    let text = answered.map(Method::as_str).collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(text).expect("method names are ASCII")
}

impl Endpoint {
    fn has_head(&self) -> bool {
        matches!(self.action, Action::Handler(_))
    }
}

impl Router {
    /// What the table says about this method and path.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_> {
        if method == Method::OPTIONS && path == "*" {
            // Asked of the server, not of one of its paths (RFC 9110, 9.3.7).
            return Found::WrongMethod { template: "*", allow: &self.allow };
        }
        let Ok(matched) = self.paths.at(path) else { return self.without_slash(path) };
        let node = &self.nodes[*matched.value];
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let endpoint = node.methods.iter().find(|(known, _)| known == wanted).map(|(_, endpoint)| endpoint);
        match endpoint.filter(|endpoint| method != Method::HEAD || endpoint.has_head()) {
            Some(endpoint) => match Params::decode(matched.params.iter()) {
                Some(params) => Found::Endpoint { endpoint, template: node.template, params },
                None => Found::Nothing,
            },
            None => Found::WrongMethod { template: node.template, allow: &node.allow },
        }
    }

    /// What `Allow` would say about this path; for preflights.
    pub fn allow(&self, path: &str) -> Option<&HeaderValue> {
        self.paths.at(path).ok().map(|matched| &self.nodes[*matched.value].allow)
    }

    fn without_slash(&self, path: &str) -> Found<'_> {
        let trimmed = path.trim_end_matches('/');
        if trimmed.len() < path.len() && self.paths.at(trimmed).is_ok() {
            return Found::Slash(trimmed.to_owned());
        }
        Found::Nothing
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.nodes.iter().map(|node| (node.template, &node.allow))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Reply;

    async fn nothing(_: Ctx) -> Outcome {
        Ok(Reply::no_content())
    }

    fn router() -> Router {
        Table::new()
            .get("/things", Access::Public, nothing)
            .post("/things", Access::Session, nothing)
            .get("/things/{id}", Access::Public, nothing)
            .get("/things/new", Access::Public, nothing)
            .delete("/things/{id}", Access::Session, nothing)
            .socket("/ws")
            .build()
    }

    fn says(method: &Method, path: &str) -> String {
        match router().find(method, path) {
            Found::Endpoint { template, params, .. } => format!("{template} {}", params.get("id").unwrap_or("-")),
            Found::WrongMethod { allow, .. } => format!("allow {}", allow.to_str().unwrap()),
            Found::Slash(path) => format!("slash {path}"),
            Found::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn methods_are_told_from_paths() {
        assert_eq!(says(&Method::GET, "/things"), "/things -");
        assert_eq!(says(&Method::HEAD, "/things"), "/things -");
        assert_eq!(says(&Method::DELETE, "/things"), "allow GET, HEAD, POST, OPTIONS");
        assert_eq!(says(&Method::TRACE, "/things"), "allow GET, HEAD, POST, OPTIONS");
        assert_eq!(says(&Method::OPTIONS, "/things/7"), "allow GET, HEAD, DELETE, OPTIONS");
        assert_eq!(says(&Method::HEAD, "/ws"), "allow GET, OPTIONS");
        assert_eq!(says(&Method::GET, "/other"), "nothing");
        assert_eq!(says(&Method::OPTIONS, "*"), "allow GET, HEAD, POST, DELETE, OPTIONS");
        assert_eq!(says(&Method::GET, "*"), "nothing");
    }

    #[test]
    fn fixed_parts_win_over_variable_ones_and_variable_ones_are_decoded() {
        assert_eq!(says(&Method::GET, "/things/new"), "/things/new -");
        assert_eq!(says(&Method::GET, "/things/a%20b+c"), "/things/{id} a b+c");
        assert_eq!(says(&Method::GET, "/things/%ff"), "nothing");
        assert_eq!(says(&Method::GET, "/things/a%2Fb"), "/things/{id} a/b");
    }

    #[test]
    fn a_trailing_slash_is_redirected_only_towards_the_table() {
        assert_eq!(says(&Method::POST, "/things/"), "slash /things");
        assert_eq!(says(&Method::GET, "//evil.example/"), "nothing");
        assert_eq!(says(&Method::GET, "/"), "nothing");
    }
}
