//! What a handler is given: one value with everything about the request, already authenticated, limited and read.

use super::{
    ApiError, RequestId, client, credentials::Presented, json, query, query::Query, rate_limit, rate_limit::Policy,
};
use crate::app::App;
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use serde::de::DeserializeOwned;
use shared::model::Identity;
use std::{net::IpAddr, str::FromStr};

/// One request in a handler's hands.
#[derive(Debug)]
pub struct Ctx {
    /// The process.
    pub app: App,
    /// Method, address, headers.
    pub head: Parts,
    /// The variable parts of the path.
    pub params: Params,
    /// Who asks, if the session was valid. Routes that demand one use [`Ctx::user`].
    pub identity: Option<Identity>,
    /// The token that proved it.
    pub presented: Option<Presented>,
    /// The client's address, behind our own proxies.
    pub ip: IpAddr,
    /// The request's name in logs and answers.
    pub id: RequestId,
    /// The whole body, within its limit; empty if there was none.
    pub body: Bytes,
}

impl Ctx {
    /// Who asks. The router has refused everybody else already on routes that say so.
    pub fn user(&self) -> Result<&Identity, ApiError> {
        self.identity.as_ref().ok_or(ApiError::unauthorized())
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The body as JSON; 415 or 400 with the field's name if it is not what `T` says.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        json::read(&self.head.headers, &self.body)
    }

    /// The query, to be taken apart name by name.
    pub fn query(&self) -> Result<Query, ApiError> {
        Query::parse(self.head.uri.query().unwrap_or_default())
    }

    /// A part of the path as an id. What cannot be one names nothing: 404, as for an id nobody has.
    pub fn param<T: FromStr>(&self, name: &str, what: &'static str) -> Result<T, ApiError> {
        self.params.get(name).and_then(|text| text.parse().ok()).ok_or(ApiError::NotFound(what))
    }

    /// The valid session's token.
    pub fn token(&self) -> Result<&Presented, ApiError> {
        self.presented.as_ref().ok_or(ApiError::unauthorized())
    }

    /// Takes one from a strict limit of this route; 429 if there is none left.
    pub async fn limit(&self, policy: Policy, who: &str) -> Result<(), ApiError> {
        rate_limit::take(&self.app.engine.limits, policy, who).await.map(drop)
    }

    /// What the client's address is counted under.
    pub fn ip_bucket(&self) -> String {
        client::bucket(self.ip)
    }

    /// The client's `User-Agent`, cut to what is worth keeping.
    pub fn user_agent(&self) -> Option<String> {
        let value = self.head.headers.get(http::header::USER_AGENT)?.to_str().ok()?;
        Some(value.chars().take(512).collect())
    }
}

/// The variable parts of a path, decoded.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes what the router matched; a part that is no UTF-8 names nothing.
    pub(crate) fn decode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        pairs
            .map(|(name, raw)| {
                // In a path a plus is a plus: only percent escapes are decoded.
                let value = query::decode(&raw.replace('+', "%2B")).ok()?;
                Some((name.to_owned(), value))
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
