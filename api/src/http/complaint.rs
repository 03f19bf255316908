//! What serde has to say about a body, in words for people: no names of our types, no Rust.

/// A complaint about one field. `said` is serde's own text; what it says nothing useful about is "not valid".
pub(super) fn of(said: &str) -> String {
    // `serde_json` appends where it was; the field says it better.
    let said = said.rsplit_once(" at line ").map_or(said, |(text, _)| text);
    let (what, expected) = said.rsplit_once(", expected ").unwrap_or((said, ""));
    let kind =
        ["missing field", "unknown field", "duplicate field", "unknown variant", "invalid type", "invalid value"]
            .into_iter()
            .find(|kind| what.starts_with(kind));
    match kind {
        Some("missing field") => "is missing".into(),
        Some("unknown field") => "is not a field of this request".into(),
        Some("duplicate field") => "is given twice".into(),
        Some("unknown variant") if !expected.is_empty() => format!("must be {expected}"),
        Some("invalid type" | "invalid value") => wanted(expected).into(),
        _ if said.starts_with("UUID parsing failed") => "must be an id".into(),
        _ => "is not valid".into(),
    }
}

/// A rule from what serde expected.
fn wanted(expected: &str) -> &'static str {
    match expected {
        "a string" | "a borrowed string" => "must be a string",
        "a boolean" => "must be true or false",
        "i8" | "i16" | "i32" | "i64" => "must be a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "must be a whole number and not negative",
        "f32" | "f64" => "must be a number",
        "a sequence" => "must be a list",
        "a map" => "must be an object",
        _ if expected.starts_with("struct ") => "must be an object",
        _ if expected.contains("UUID") => "must be an id",
        _ => "has the wrong type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use shared::{id::UserId, model::Portal};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its types matter")]
    struct Form {
        text: Option<String>,
        flag: Option<bool>,
        whole: Option<i64>,
        natural: Option<u32>,
        real: Option<f64>,
        list: Option<Vec<String>>,
        id: Option<UserId>,
        portal: Option<Portal>,
        inner: Option<Box<Form>>,
    }

    #[derive(Debug, Deserialize)]
    struct Needy {
        #[expect(dead_code, reason = "only its name matters")]
        name: String,
    }

    #[test]
    fn nothing_that_serde_says_names_rust() {
        for (json, complaint) in [
            (r#"{"text": 5}"#, "must be a string"),
            (r#"{"flag": "yes"}"#, "must be true or false"),
            (r#"{"whole": "1"}"#, "must be a whole number"),
            (r#"{"whole": 1.5}"#, "must be a whole number"),
            (r#"{"natural": -1}"#, "must be a whole number and not negative"),
            (r#"{"natural": 99999999999}"#, "must be a whole number and not negative"),
            (r#"{"real": []}"#, "must be a number"),
            (r#"{"list": {}}"#, "must be a list"),
            (r#"{"id": "x"}"#, "must be an id"),
            (r#"{"id": 5}"#, "must be an id"),
            (r#"{"portal": "admin"}"#, "must be one of `creator`, `investor`, `production`"),
            (r#"{"portal": 5}"#, "is not valid"),
            (r#"{"inner": 5}"#, "must be an object"),
            (r#"{"inner": "a, expected struct Secret"}"#, "must be an object"),
            (r#"{"inner": []}"#, "is not valid"),
            (r#"{"text": "a", "text": "b"}"#, "is given twice"),
            (r#"{"colour": "red"}"#, "is not a field of this request"),
        ] {
            let said = serde_json::from_str::<Form>(json).unwrap_err().to_string();
            assert_eq!(of(&said), complaint, "{json}: {said}");
        }
        assert_eq!(of(&serde_json::from_str::<Needy>("{}").unwrap_err().to_string()), "is missing");
    }
}
