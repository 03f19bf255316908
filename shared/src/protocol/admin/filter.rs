//! The filter grammar of every list: `queue>8 node=gw-3`, `portal=creator and (rtt>500ms or age<1m)`, `not user~7f31`.
//!
//! ```text
//! or    := and ("or" and)*
//! and   := not (["and"] not)*
//! not   := ("not" | "!") not | "(" or ")" | test
//! test  := field ("=" | "!=" | "~" | "!~" | ">" | ">=" | "<" | "<=") value | value
//! value := bare word | "quoted text"
//! ```
//!
//! `~` is "contains", without regard to case; so is `=` on text, as a whole. A bare word matches a row if any text
//! field contains it. Numbers take the units of their field. One text, parsed on both sides: the console to complete
//! and to complain early, the server to decide.

use super::field::{Field, Kind, Row, Value, field};
use std::fmt;

/// Longest text taken.
pub const MOST_BYTES: usize = 512;
/// Deepest nesting taken: parentheses and `not`.
const MOST_DEPTH: u32 = 16;

/// A filter for one kind of row.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Node);

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at {at})")]
pub struct FilterError {
    /// Which byte of the text.
    pub at: usize,
    /// What is wrong, for people.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test { field: usize, op: Op, operand: Operand },
    Word(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Contains,
    ContainsNot,
    More,
    AtLeast,
    Less,
    AtMost,
}

/// Text is lower case already.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Number(f64),
    Text(String),
}

impl Filter {
    /// Reads a filter for rows with these fields; `None` if the text is blank.
    pub fn parse(text: &str, fields: &[Field]) -> Result<Option<Self>, FilterError> {
        if text.len() > MOST_BYTES {
            return Err(FilterError { at: MOST_BYTES, message: format!("longer than {MOST_BYTES} bytes") });
        }
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(None);
        }
        let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), fields };
        let node = parser.or(0)?;
        match parser.peek() {
            None => Ok(Some(Self(node))),
            Some(token) => Err(token.wrong("this does not belong here")),
        }
    }

    /// Whether the row passes.
    pub fn matches<R: Row>(&self, row: &R) -> bool {
        self.0.matches(row)
    }

    /// The filter as text for a row with these fields, in one fixed form that reads back as the same filter.
    pub fn render(&self, fields: &[Field]) -> String {
        let mut text = String::new();
        self.0.render(fields, &mut text, true);
        text
    }
}

impl Node {
    fn matches<R: Row>(&self, row: &R) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(row)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(row)),
            Self::Not(node) => !node.matches(row),
            Self::Test { field, op, operand } => op.holds(&row.value(*field), operand),
            Self::Word(word) => R::FIELDS.iter().enumerate().any(|(at, field)| {
                field.kind == Kind::Text && matches!(row.value(at), Value::Text(text) if contains(&text, word))
            }),
        }
    }

    fn render(&self, fields: &[Field], out: &mut String, outermost: bool) {
        let list = |nodes: &[Self], glue: &str, out: &mut String| {
            out.push_str(if outermost { "" } else { "(" });
            for (at, node) in nodes.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { glue });
                node.render(fields, out, false);
            }
            out.push_str(if outermost { "" } else { ")" });
        };
        match self {
            Self::All(nodes) => list(nodes, " and ", out),
            Self::Any(nodes) => list(nodes, " or ", out),
            Self::Not(node) => {
                out.push_str("not ");
                node.render(fields, out, false);
            }
            Self::Test { field, op, operand } => {
                out.push_str(fields[*field].name);
                out.push_str(op.text());
                match operand {
                    Operand::Number(number) => out.push_str(&number.to_string()),
                    Operand::Text(text) => out.push_str(&quoted(text)),
                }
            }
            Self::Word(word) => out.push_str(&quoted(word)),
        }
    }
}

impl Op {
    const fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Contains => "~",
            Self::ContainsNot => "!~",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
        }
    }

    fn holds(self, value: &Value<'_>, operand: &Operand) -> bool {
        let order = match (value, operand) {
            (Value::Number(a), Operand::Number(b)) => a.total_cmp(b),
            (Value::Text(text), Operand::Text(wanted)) => match self {
                Self::Contains => return contains(text, wanted),
                Self::ContainsNot => return !contains(text, wanted),
                Self::Equal => return equal(text, wanted),
                Self::NotEqual => return !equal(text, wanted),
                _ => text.to_lowercase().as_str().cmp(wanted.as_str()),
            },
            _ => return matches!(self, Self::NotEqual | Self::ContainsNot),
        };
        match self {
            Self::Equal | Self::Contains => order.is_eq(),
            Self::NotEqual | Self::ContainsNot => order.is_ne(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
        }
    }
}

/// `wanted` is lower case.
fn contains(text: &str, wanted: &str) -> bool {
    if text.is_ascii() && wanted.is_ascii() {
        // The common case, without an allocation per row.
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
    } else {
        text.to_lowercase().contains(wanted)
    }
}

fn equal(text: &str, wanted: &str) -> bool {
    if text.is_ascii() { text.eq_ignore_ascii_case(wanted) } else { text.to_lowercase() == wanted }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    at: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Word(String),
    Quoted(String),
    Op(Op),
    Bang,
    Open,
    Close,
}

impl Token {
    fn wrong(&self, message: impl fmt::Display) -> FilterError {
        FilterError { at: self.at, message: message.to_string() }
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(&self.what, What::Word(word) if word.eq_ignore_ascii_case(wanted))
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let mut followed = |wanted| rest.next_if(|(_, c)| *c == wanted).is_some();
        let what = match c {
            c if c.is_whitespace() => continue,
            '(' => What::Open,
            ')' => What::Close,
            '=' => What::Op(Op::Equal),
            '~' => What::Op(Op::Contains),
            '>' => What::Op(if followed('=') { Op::AtLeast } else { Op::More }),
            '<' => What::Op(if followed('=') { Op::AtMost } else { Op::Less }),
            '!' if followed('=') => What::Op(Op::NotEqual),
            '!' if followed('~') => What::Op(Op::ContainsNot),
            '!' => What::Bang,
            '"' => What::Quoted(quotation(at, &mut rest)?),
            first => {
                let mut word = String::from(first);
                while let Some((_, c)) = rest.next_if(|(_, c)| !c.is_whitespace() && !"()=~<>!\"".contains(*c)) {
                    word.push(c);
                }
                What::Word(word)
            }
        };
        tokens.push(Token { at, what });
    }
    Ok(tokens)
}

fn quotation(at: usize, rest: &mut impl Iterator<Item = (usize, char)>) -> Result<String, FilterError> {
    let mut text = String::new();
    while let Some((_, c)) = rest.next() {
        match c {
            '"' => return Ok(text),
            '\\' => text.extend(rest.next().map(|(_, c)| c)),
            c => text.push(c),
        }
    }
    Err(FilterError { at, message: "this quotation does not end".into() })
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    end: usize,
    fields: &'a [Field],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        self.at += 1;
        self.tokens.get(self.at - 1)
    }

    fn or(&mut self, depth: u32) -> Result<Node, FilterError> {
        let mut nodes = vec![self.and(depth)?];
        while self.peek().is_some_and(|token| token.is_word("or")) {
            self.at += 1;
            nodes.push(self.and(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn and(&mut self, depth: u32) -> Result<Node, FilterError> {
        let mut nodes = vec![self.not(depth)?];
        while let Some(token) = self.peek() {
            if token.is_word("and") {
                self.at += 1;
            } else if token.is_word("or") || token.what == What::Close {
                break;
            }
            nodes.push(self.not(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn not(&mut self, depth: u32) -> Result<Node, FilterError> {
        let Some(token) = self.next() else {
            return Err(FilterError { at: self.end, message: "a condition is missing here".into() });
        };
        if depth > MOST_DEPTH {
            return Err(token.wrong("this is nested too deeply"));
        }
        match &token.what {
            What::Bang => Ok(Node::Not(Box::new(self.not(depth + 1)?))),
            What::Word(_) if token.is_word("not") => Ok(Node::Not(Box::new(self.not(depth + 1)?))),
            What::Open => {
                let inner = self.or(depth + 1)?;
                match self.next() {
                    Some(Token { what: What::Close, .. }) => Ok(inner),
                    _ => Err(token.wrong("this parenthesis is not closed")),
                }
            }
            What::Word(name) => match self.peek() {
                Some(Token { what: What::Op(op), .. }) => {
                    self.at += 1;
                    self.test(token, name, *op)
                }
                _ => Ok(Node::Word(name.to_lowercase())),
            },
            What::Quoted(text) => Ok(Node::Word(text.to_lowercase())),
            What::Op(_) => Err(token.wrong("a field's name is missing before this")),
            What::Close => Err(token.wrong("a condition is missing before this")),
        }
    }

    fn test(&mut self, token: &Token, name: &str, op: Op) -> Result<Node, FilterError> {
        let Some(at) = field(self.fields, name) else {
            let names: Vec<_> = self.fields.iter().map(|field| field.name).collect();
            return Err(token.wrong(format_args!("there is no field {name:?}; there are {}", names.join(", "))));
        };
        let Some(Token { at: place, what: What::Word(text) | What::Quoted(text) }) = self.next() else {
            return Err(FilterError { at: self.end.min(token.at + name.len()), message: "a value is missing".into() });
        };
        let kind = self.fields[at].kind;
        let operand = match kind {
            Kind::Text => Operand::Text(text.to_lowercase()),
            _ => Operand::Number(
                number(text, kind)
                    .ok_or_else(|| FilterError { at: *place, message: format!("{text:?} is no {}", example(kind)) })?,
            ),
        };
        Ok(Node::Test { field: at, op, operand })
    }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "number such as 8 or 10k",
        Kind::Seconds => "duration such as 500ms, 90s, 5m, 2h or 1d",
        Kind::Bytes => "size such as 512, 64KiB or 1MB",
        Kind::Share => "share such as 0.8 or 80%",
    }
}

/// A number with the units of its kind; bare numbers are in the base unit.
fn number(text: &str, kind: Kind) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits);
    let factor = match (kind, unit) {
        (_, "") | (Kind::Seconds, "s") | (Kind::Bytes, "B") => 1.0,
        (Kind::Number, "k") | (Kind::Bytes, "k" | "kB" | "KB") => 1e3,
        (Kind::Number, "M") | (Kind::Bytes, "M" | "MB") => 1e6,
        (Kind::Seconds, "ms") => 1e-3,
        (Kind::Seconds, "m") => 60.0,
        (Kind::Seconds, "h") => 3_600.0,
        (Kind::Seconds, "d") => 86_400.0,
        (Kind::Bytes, "K" | "KiB") => 1_024.0,
        (Kind::Bytes, "MiB") => 1_048_576.0,
        (Kind::Bytes, "G" | "GB") => 1e9,
        (Kind::Bytes, "GiB") => 1_073_741_824.0,
        (Kind::Share, "%") => 0.01,
        _ => return None,
    };
    digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::admin::field::fields;
    use proptest::prelude::*;

    struct Person {
        name: Option<&'static str>,
        age: f64,
        weight: f64,
    }

    impl Row for Person {
        const FIELDS: &'static [Field] = fields![
            name: Text "the name",
            age: Seconds "since birth",
            weight: Bytes "of the photo",
            share: Share "of the cake",
        ];

        fn value(&self, field: usize) -> Value<'_> {
            match field {
                0 => Value::maybe(self.name),
                1 => Value::Number(self.age),
                2 => Value::Number(self.weight),
                _ => Value::Number(0.5),
            }
        }

        fn key(&self) -> String {
            self.name.unwrap_or_default().into()
        }
    }

    fn passes(text: &str) -> bool {
        let ada = Person { name: Some("Ada Lovelace"), age: 300.0, weight: 70_000.0 };
        Filter::parse(text, Person::FIELDS).unwrap().unwrap().matches(&ada)
    }

    fn error(text: &str) -> String {
        Filter::parse(text, Person::FIELDS).unwrap_err().to_string()
    }

    #[test]
    fn tests_are_joined_by_and_or_not_and_parentheses() {
        for text in [
            "name~love",
            "NAME~LOVE age>4m",
            "age=5m and weight>64KiB",
            "age<1m or weight>=70kB",
            "not age<1m",
            "!(age<1m or weight<1)",
            "name=\"ada lovelace\"",
            "love",
            "name!~byron share=50%",
            "age<1m or (not name=x and age<=300)",
        ] {
            assert!(passes(text), "{text}");
        }
        for text in ["name=ada", "age>5m", "not love", "age>1m weight<1KiB", "share<0.5", "name>b"] {
            assert!(!passes(text), "{text}");
        }
    }

    #[test]
    fn what_is_absent_matches_nothing_but_its_denial() {
        let nobody = Person { name: None, age: 0.0, weight: 0.0 };
        let matches = |text| Filter::parse(text, Person::FIELDS).unwrap().unwrap().matches(&nobody);
        assert!(!matches("name=ada") && !matches("name~a") && !matches("ada") && !matches("name<z"));
        assert!(matches("name!=ada") && matches("name!~a") && matches("not name=ada"));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(error("age>3m nmae=x"), "there is no field \"nmae\"; there are name, age, weight, share (at 7)");
        assert_eq!(error("age>soon"), "\"soon\" is no duration such as 500ms, 90s, 5m, 2h or 1d (at 4)");
        assert_eq!(error("age>"), "a value is missing (at 3)");
        assert_eq!(error("(age>1"), "this parenthesis is not closed (at 0)");
        assert_eq!(error("age>1)"), "this does not belong here (at 5)");
        assert_eq!(error("name=\"x"), "this quotation does not end (at 5)");
        assert_eq!(error("age>1 and"), "a condition is missing here (at 9)");
        assert_eq!(error("=1"), "a field's name is missing before this (at 0)");
        assert!(error(&"(".repeat(400)).starts_with("this is nested too deeply"));
        assert!(error(&"x".repeat(MOST_BYTES + 1)).starts_with("longer than"));
        assert_eq!(Filter::parse("  ", Person::FIELDS), Ok(None));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_reads_it_writes_back(text in "[nameightshr0-9kms%()=~<>!\" \\\\é]{0,60}") {
            if let Ok(Some(filter)) = Filter::parse(&text, Person::FIELDS) {
                let rendered = filter.render(Person::FIELDS);
                if rendered.len() <= MOST_BYTES {
                    let again = Filter::parse(&rendered, Person::FIELDS);
                    prop_assert_eq!(again.map(Option::unwrap), Ok(filter), "{} -> {}", text, rendered);
                }
            }
        }
    }
}
