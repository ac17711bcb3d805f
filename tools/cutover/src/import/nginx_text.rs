//! nginx's configuration as directives: words, `;`, blocks in braces, comments.

use std::iter::Peekable;
use std::str::Chars;

use super::Unreadable;

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) line: u64,
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// The directives inside of its braces; absent when it ends with `;`.
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The directives inside.
    pub(super) fn inside(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The first directive inside with this name.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        self.inside().iter().find(|directive| directive.name == name)
    }

    /// The first argument.
    pub(super) fn first(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// Blocks inside of blocks deeper than this are a mistake: nginx itself needs five.
const DEEPEST: usize = 32;

/// Reads the text.
pub(super) fn read(text: &str) -> Result<Vec<Directive>, Unreadable> {
    let mut words = Words { characters: text.chars().peekable(), line: 1 };
    block(&mut words, 0)
}

enum Word {
    Text(String),
    End,
    Open,
    Close,
}

fn block(words: &mut Words<'_>, depth: usize) -> Result<Vec<Directive>, Unreadable> {
    if depth > DEEPEST {
        return Err(Unreadable::new(
            words.line,
            format!("blocks are nested more than {DEEPEST} deep"),
            "correct it",
        ));
    }
    let mut directives = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut line = words.line;
    loop {
        let Some(word) = words.next()? else {
            if depth > 0 || !parts.is_empty() {
                return Err(Unreadable::new(
                    words.line,
                    "the file ends inside of a directive",
                    "add the missing `}` or `;`",
                ));
            }
            return Ok(directives);
        };
        let ended = match word {
            Word::Text(text) => {
                if parts.is_empty() {
                    line = words.line;
                }
                parts.push(text);
                continue;
            }
            Word::Close if depth > 0 && parts.is_empty() => return Ok(directives),
            Word::Close => {
                return Err(Unreadable::new(
                    words.line,
                    "a `}` closes nothing",
                    "remove it, or add the missing `;` before it",
                ));
            }
            Word::End => None,
            Word::Open => Some(block(words, depth + 1)?),
        };
        let mut taken = std::mem::take(&mut parts).into_iter();
        if let Some(name) = taken.next() {
            directives.push(Directive { line, name, arguments: taken.collect(), block: ended });
        }
    }
}

struct Words<'a> {
    characters: Peekable<Chars<'a>>,
    line: u64,
}

impl Words<'_> {
    fn step(&mut self) -> Option<char> {
        let character = self.characters.next();
        if character == Some('\n') {
            self.line += 1;
        }
        character
    }

    fn next(&mut self) -> Result<Option<Word>, Unreadable> {
        loop {
            match self.characters.peek() {
                None => return Ok(None),
                Some(c) if c.is_whitespace() => {
                    self.step();
                }
                Some('#') => {
                    while self.characters.peek().is_some_and(|c| *c != '\n') {
                        self.step();
                    }
                }
                Some(_) => break,
            }
        }
        Ok(match self.step() {
            None => None,
            Some(';') => Some(Word::End),
            Some('{') => Some(Word::Open),
            Some('}') => Some(Word::Close),
            Some(quote @ ('"' | '\'')) => Some(Word::Text(self.quoted(quote)?)),
            Some(first) => Some(Word::Text(self.plain(first))),
        })
    }

    fn quoted(&mut self, quote: char) -> Result<String, Unreadable> {
        let line = self.line;
        let mut text = String::new();
        loop {
            match self.step() {
                None => {
                    return Err(Unreadable::new(
                        line,
                        "a quote is not closed",
                        format!("add the missing {quote}"),
                    ));
                }
                Some('\\') => text.extend(self.step()),
                Some(c) if c == quote => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn plain(&mut self, first: char) -> String {
        let mut text = String::from(first);
        let mut is_variable = false;
        while let Some(c) = self.characters.peek().copied() {
            // `${name}` is one word.
            let opens = c == '{' && text.ends_with('$');
            let closes = c == '}' && is_variable;
            if !opens && !closes && (c.is_whitespace() || matches!(c, ';' | '{' | '}')) {
                break;
            }
            is_variable = opens || (is_variable && !closes);
            self.step();
            text.push(c);
            if c == '\\' {
                text.extend(self.step());
            }
        }
        text
    }
}
