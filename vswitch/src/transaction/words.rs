//! Sets and maps as Open vSwitch writes them: `[a, "b c"]`, `a,b`, `{k=v, "k 2"=v}`, `k=v`.

use super::Problem;

/// The items of a set; brackets around them are optional, commas or spaces between them are not.
pub(super) fn atoms(text: &str) -> Result<Vec<String>, Problem> {
    let mut scanner = Scanner::new(text, '[', ']');
    let mut items = Vec::new();
    while scanner.more() {
        items.push(scanner.atom(", \t\n")?);
    }
    Ok(items)
}

/// The pairs of a map; braces around them are optional.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut scanner = Scanner::new(text, '{', '}');
    let mut items = Vec::new();
    while scanner.more() {
        let key = scanner.atom("=, \t\n")?;
        let Some(rest) = scanner.rest.strip_prefix('=') else {
            return Err(format!("{text}: \"{key}\" is not followed by = and a value"));
        };
        scanner.rest = rest;
        items.push((key, scanner.atom(", \t\n")?));
    }
    Ok(items)
}

/// One text, with or without quotes.
pub(super) fn text(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(inner) if text.starts_with('"') => inner,
        _ => text.to_owned(),
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, open: char, close: char) -> Self {
        let text = text.trim();
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        Self { rest: inner.unwrap_or(text) }
    }

    fn more(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([',', ' ', '\t', '\n']);
        !self.rest.is_empty()
    }

    /// A text in quotes (JSON's), or what comes before one of `ends`.
    fn atom(&mut self, ends: &str) -> Result<String, Problem> {
        if self.rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
            let Some(Ok(text)) = texts.next() else {
                return Err(format!("{}: missing quote at end of quoted string", self.rest));
            };
            self.rest = &self.rest[texts.byte_offset()..];
            return Ok(text);
        }
        let end = self.rest.find(|c| ends.contains(c)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_maps() {
        assert_eq!(atoms("").unwrap(), [""; 0]);
        assert_eq!(atoms("[]").unwrap(), [""; 0]);
        assert_eq!(atoms("[a, \"b, c\",d]").unwrap(), ["a", "b, c", "d"]);
        assert_eq!(atoms("1,2 3").unwrap(), ["1", "2", "3"]);
        assert_eq!(atoms("\"\"").unwrap(), [""]);
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(pairs("{a=b, \"c d\"=\"e=\\\"f\"}").unwrap(), [pair("a", "b"), pair("c d", "e=\"f")]);
        assert_eq!(pairs("a=b=c,d=").unwrap(), [pair("a", "b=c"), pair("d", "")]);
        assert_eq!(pairs("5").unwrap_err(), "5: \"5\" is not followed by = and a value");
        assert_eq!(atoms("\"x").unwrap_err(), "\"x: missing quote at end of quoted string");
        assert_eq!(
            (text("a b"), text("\"a\\nb\""), text("\"x")),
            ("a b".into(), "a\nb".into(), "\"x".into())
        );
    }
}
