//! The part of a shell's language in which `ifcfg-*` files are written: assignments, quotes, comments. (The network
//! scripts let the shell read the files.) Nothing is carried out and nothing is expanded.

use super::quoted;

/// `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) key: String,
    /// Without quotes.
    pub(super) value: String,
    /// Where it begins.
    pub(super) line: usize,
    /// A shell would put something else for a part of it (`$NAME`, `` `command` ``).
    pub(super) expands: bool,
}

/// A line, and what is wrong there.
pub(super) type Wrong = (usize, String);

/// All assignments in their order, and everything that is none.
pub(super) fn parse(text: &str) -> (Vec<Assignment>, Vec<Wrong>) {
    let mut scanner = Scanner { rest: text.chars().peekable(), line: 1 };
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    while scanner.rest.peek().is_some() {
        if let Err(problem) = scanner.command(&mut found) {
            wrong.push(problem);
            scanner.skip_line();
        }
    }
    (found, wrong)
}

/// A word, its quotes taken off.
#[derive(Default)]
struct Word {
    key: Option<String>,
    text: String,
    has_quotes: bool,
    expands: bool,
}

struct Scanner<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_line(&mut self) {
        while self.rest.peek().is_some_and(|c| *c != '\n') {
            self.next();
        }
    }

    /// One command, which has to consist of assignments only, and what ends it.
    fn command(&mut self, found: &mut Vec<Assignment>) -> Result<(), Wrong> {
        let mut exports = false;
        loop {
            match self.rest.peek().copied() {
                None => return Ok(()),
                Some('\n' | ';') => {
                    self.next();
                    return Ok(());
                }
                Some('#') => {
                    self.skip_line();
                    continue;
                }
                Some(' ' | '\t') => {
                    self.next();
                    continue;
                }
                Some('\\') if self.rest.clone().nth(1) == Some('\n') => {
                    self.next();
                    self.next();
                    continue;
                }
                Some('&' | '|' | '<' | '>' | '(' | ')') => {
                    return Err((
                        self.line,
                        "shell commands are not carried out; write KEY=VALUE".to_owned(),
                    ));
                }
                Some(_) => (),
            }
            let line = self.line;
            let word = self.word()?;
            match word.key {
                Some(key) => {
                    found.push(Assignment { key, value: word.text, line, expands: word.expands });
                }
                None if word.text == "export" && !word.has_quotes => exports = true,
                None if exports && is_name(&word.text) => (),
                None => {
                    let hint = if is_name(&word.text) { "; there are no spaces around the =" } else { "" };
                    return Err((line, format!("{} is not KEY=VALUE{hint}", quoted(&word.text))));
                }
            }
        }
    }

    fn word(&mut self) -> Result<Word, Wrong> {
        let mut word = Word::default();
        while let Some(c) = self.rest.peek().copied() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' | '"' => {
                    word.has_quotes = true;
                    self.quotes(c, &mut word)?;
                    continue;
                }
                _ => (),
            }
            self.next();
            match c {
                '\\' => match self.next() {
                    Some('\n') => (),
                    Some(c) => {
                        word.has_quotes = true;
                        word.text.push(c);
                    }
                    None => word.text.push('\\'),
                },
                '=' if word.key.is_none() && !word.has_quotes && is_name(&word.text) => {
                    word.key = Some(std::mem::take(&mut word.text));
                }
                _ => {
                    word.expands |= matches!(c, '$' | '`');
                    word.text.push(c);
                }
            }
        }
        Ok(word)
    }

    /// What is between two quotes.
    fn quotes(&mut self, quote: char, word: &mut Word) -> Result<(), Wrong> {
        let line = self.line;
        self.next();
        let begin = word.text.len();
        while let Some(c) = self.next() {
            match c {
                _ if c == quote => return Ok(()),
                '\\' if quote == '"' => match self.rest.peek() {
                    Some('\n') => drop(self.next()),
                    Some('$' | '`' | '"' | '\\') => word.text.extend(self.next()),
                    _ => word.text.push('\\'),
                },
                _ => {
                    word.expands |= quote == '"' && matches!(c, '$' | '`');
                    word.text.push(c);
                }
            }
        }
        let after = word.text[begin..].lines().next().unwrap_or_default();
        Err((line, format!("the quote {quote} before {} is never closed", quoted(after))))
    }
}

/// A name of a shell's variable.
fn is_name(text: &str) -> bool {
    let mut octets = text.bytes();
    octets.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && octets.all(|octet| octet == b'_' || octet.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let (found, wrong) = parse(text);
        assert_eq!(wrong, [], "{text}");
        found.into_iter().map(|found| (found.key, found.value)).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn wrong(text: &str) -> Vec<Wrong> {
        parse(text).1
    }

    #[test]
    fn assignments_as_a_shell_reads_them() {
        assert_eq!(pairs("A=b\n"), [pair("A", "b")]);
        assert_eq!(pairs(" \tA=b # why\n#B=c\n\nC=d"), [pair("A", "b"), pair("C", "d")]);
        assert_eq!(
            pairs("A='b \"$c\" \\'\nB=\"d 'e' \\\"f\\\" \\x\""),
            [pair("A", "b \"$c\" \\"), pair("B", "d 'e' \"f\" \\x")]
        );
        assert_eq!(pairs("A=b\"c d\"'e'\\ f"), [pair("A", "bc de f")]);
        assert_eq!(pairs("A=b#c"), [pair("A", "b#c")], "no comment begins within a word");
        assert_eq!(pairs("A=1 B=2; C=3;D="), [pair("A", "1"), pair("B", "2"), pair("C", "3"), pair("D", "")]);
        assert_eq!(pairs("export A=b\nexport A\n"), [pair("A", "b")]);
        assert_eq!(pairs("A=x=y"), [pair("A", "x=y")]);
        assert_eq!(
            pairs("A=b\\\nc\nD=\"e\\\nf\" \\\n  G=h\n"),
            [pair("A", "bc"), pair("D", "ef"), pair("G", "h")]
        );
        assert_eq!(pairs("A=\"b\nc\""), [pair("A", "b\nc")]);
        assert_eq!(pairs("A=b\\"), [pair("A", "b\\")]);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn lines_are_counted_through_quotes_and_continuations() {
        let (found, _) = parse("A=\"1\n2\"\nB=3 \\\nC=4\n\nD=5");
        let lines: Vec<_> = found.iter().map(|found| (found.key.as_str(), found.line)).collect();
        assert_eq!(lines, [("A", 1), ("B", 3), ("C", 4), ("D", 6)]);
    }

    #[test]
    fn what_a_shell_would_expand_is_marked() {
        let (found, _) = parse("A=$B\nC=\"`d`\"\nE='$F'\nG=\\$H\nI=\"\\$J\"");
        let marks: Vec<_> = found.iter().map(|found| found.expands).collect();
        assert_eq!(marks, [true, true, false, false, false]);
    }

    #[test]
    fn what_is_no_assignment_is_named_with_its_line_and_the_rest_is_read() {
        assert_eq!(
            wrong("A=1\n\nMASTER = bond0\n"),
            [(3, "\"MASTER\" is not KEY=VALUE; there are no spaces around the =".to_owned())]
        );
        assert_eq!(
            wrong("1A=b\n=c\n"),
            [(1, "\"1A=b\" is not KEY=VALUE".to_owned()), (2, "\"=c\" is not KEY=VALUE".to_owned())]
        );
        assert_eq!(wrong("A+=b"), [(1, "\"A+=b\" is not KEY=VALUE".to_owned())]);
        let commands = "shell commands are not carried out; write KEY=VALUE";
        assert_eq!(wrong("A=1 && B=2\n(C=3)\n"), [(1, commands.to_owned()), (2, commands.to_owned())]);
        let (found, wrong) = parse("A=1\n. ./other\nB=2\n");
        assert_eq!((found.len(), wrong), (2, vec![(2, "\".\" is not KEY=VALUE".to_owned())]));
        assert_eq!(quoted(&"x".repeat(90)), format!("\"{}...\"", "x".repeat(60)));
    }

    #[test]
    fn an_open_quote_is_named_where_it_begins() {
        assert_eq!(
            wrong("A=1\nB=\"mode=1 miimon=100\nC=2\nD=3\n"),
            [(2, "the quote \" before \"mode=1 miimon=100\" is never closed".to_owned())]
        );
        assert_eq!(wrong("A='"), [(1, "the quote ' before \"\" is never closed".to_owned())]);
    }
}
