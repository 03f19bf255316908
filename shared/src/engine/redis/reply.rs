//! Reading what a script answered.
//!
//! A script's answer never begins with a word that fred would take for a pub/sub message (see [`super::life`]), so
//! answers begin with a number, a position or nothing.

use crate::engine::EngineError;
use bytes::Bytes;
use fred::types::Value;

/// A script's answer, taken apart from the front. What is not as expected is an error, never a panic: another version
/// of this program may share the server.
#[derive(Debug)]
pub(in crate::engine) struct Reply {
    what: &'static str,
    /// Reversed: taken from the end.
    rest: Vec<Value>,
}

impl Reply {
    pub(super) fn new(what: &'static str, value: Value) -> Self {
        let rest = match value {
            Value::Array(mut values) => {
                values.reverse();
                values
            }
            one => vec![one],
        };
        Self { what, rest }
    }

    /// Whether everything was taken.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value as text or bytes; `None` for nil.
    pub(in crate::engine) fn bytes_or_nil(&mut self) -> Result<Option<Bytes>, EngineError> {
        match self.rest.pop() {
            Some(Value::String(text)) => Ok(Some(text.into_inner())),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            other => Err(self.unexpected(other.as_ref())),
        }
    }

    /// The next value as text or bytes.
    pub(in crate::engine) fn bytes(&mut self) -> Result<Bytes, EngineError> {
        self.bytes_or_nil()?.ok_or_else(|| self.unexpected(Some(&Value::Null)))
    }

    /// The next value, parsed from its text.
    pub(in crate::engine) fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, EngineError> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(&bytes).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| self.unexpected(Some(&Value::Bytes(bytes.clone()))))
    }

    /// The same; `None` for nil.
    pub(in crate::engine) fn parsed_or_nil<T: std::str::FromStr>(&mut self) -> Result<Option<T>, EngineError> {
        if matches!(self.rest.last(), Some(Value::Null)) { Ok(None) } else { self.parsed().map(Some) }
    }

    /// The next value as a number that is not negative.
    pub(in crate::engine) fn number(&mut self) -> Result<u64, EngineError> {
        match self.rest.pop() {
            Some(Value::Integer(number)) if number >= 0 => Ok(number.unsigned_abs()),
            other => Err(self.unexpected(other.as_ref())),
        }
    }

    fn unexpected(&self, value: Option<&Value>) -> EngineError {
        let kind = value.map(Value::kind);
        tracing::error!(what = self.what, ?kind, "a script's answer is not what this version expects");
        EngineError::Unavailable { what: self.what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_from_the_front_and_what_does_not_fit_is_an_error() {
        let values = vec![Value::Integer(3), Value::from("k3"), Value::Null, Value::from("7"), Value::from("x")];
        let mut reply = Reply::new("test", Value::Array(values));
        assert_eq!(reply.number().unwrap(), 3);
        assert_eq!(reply.bytes().unwrap(), "k3");
        assert_eq!(reply.bytes_or_nil().unwrap(), None);
        assert_eq!(Reply::new("test", Value::Null).parsed_or_nil::<u64>().unwrap(), None);
        assert_eq!(reply.parsed::<u64>().unwrap(), 7);
        assert!(reply.number().is_err() && reply.is_empty() && reply.bytes().is_err());
        assert!(Reply::new("test", Value::Integer(-1)).number().is_err());
    }
}
