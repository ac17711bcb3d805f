//! What people search for: expressions, and the beginnings of words.
//!
//! Expressions have words, `AND`, `OR`, `NOT` and parentheses. The last word is a prefix.
//!
//! Words beside each other all count (`AND`). `AND` binds closer than `OR`, `NOT` closer than both. Operators are
//! in upper case; `and` is a word.

use crate::book::words;

/// The most words, operators and parentheses of a search. Each word is a look-up in the index and a term of the
/// statement: SQLite takes expressions of a thousand terms, PostgreSQL 65,535 values, and the builder of statements
/// calls itself once for each term.
const MAX_WORDS: usize = 64;

/// The deepest nesting of parentheses and `NOT`.
const MAX_DEPTH: usize = 16;

/// The text is not a valid expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid search query")]
pub struct Invalid;

/// A word of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word, in lower case, of letters and digits only.
    pub text: String,
    /// Whether longer words with this beginning match too.
    pub prefix: bool,
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// One word.
    Word(Word),
    /// Every part matches.
    All(Vec<Expression>),
    /// A part matches.
    Any(Vec<Expression>),
    /// The part does not match.
    Not(Box<Expression>),
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`Invalid`], also for an empty text and for one that is too long.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::read(text, true)
    }

    /// Reads an expression whose last word is a whole word too.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_whole(text: &str) -> Result<Self, Invalid> {
        Self::read(text, false)
    }

    fn read(text: &str, has_prefix: bool) -> Result<Self, Invalid> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let tokens: Vec<&str> = spaced.split_whitespace().take(MAX_WORDS + 1).collect();
        // One token can have many words: `a.b.c` has three.
        if tokens.iter().map(|token| words(token).count().max(1)).sum::<usize>() > MAX_WORDS {
            return Err(Invalid);
        }
        let last = tokens.iter().rposition(|token| has_prefix && *token != ")");
        let mut reader = Reader { tokens: &tokens, at: 0, last };
        let expression = reader.any(0)?;
        if reader.peek().is_some() { Err(Invalid) } else { Ok(expression) }
    }

    /// Returns the words that a match may have: those outside of `NOT`.
    pub fn wanted(&self) -> Vec<&Word> {
        match self {
            Self::Word(word) => vec![word],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::wanted).collect(),
            Self::Not(_) => Vec::new(),
        }
    }

    /// Returns the number of words, also of those below `NOT`.
    pub fn count(&self) -> usize {
        match self {
            Self::Word(_) => 1,
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::count).sum(),
            Self::Not(part) => part.count(),
        }
    }
}

/// Returns the beginnings of words that `text` has. There can be none.
///
/// # Errors
/// [`Invalid`], if there are too many.
pub fn beginnings(text: &str) -> Result<Vec<String>, Invalid> {
    let found: Vec<String> = words(text).take(MAX_WORDS + 1).collect();
    if found.len() > MAX_WORDS { Err(Invalid) } else { Ok(found) }
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    at: usize,
    /// The place of the last word.
    last: Option<usize>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Expression, Invalid> {
        let mut parts = vec![self.all(depth)?];
        while self.take("OR") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, Invalid> {
        let mut parts = vec![self.not(depth)?];
        while self.take("AND") || self.peek().is_some_and(|token| token != "OR" && token != ")") {
            parts.push(self.not(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, Invalid> {
        if depth > MAX_DEPTH {
            return Err(Invalid);
        }
        if self.take("NOT") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            return if self.take(")") { Ok(inner) } else { Err(Invalid) };
        }
        let token = self.peek().filter(|token| !["AND", "OR", ")"].contains(token)).ok_or(Invalid)?;
        let is_last = self.last == Some(self.at);
        self.at += 1;
        let mut found: Vec<Word> = words(token).map(|text| Word { text, prefix: false }).collect();
        if let Some(word) = found.last_mut() {
            word.prefix = is_last;
        }
        if found.is_empty() {
            return Err(Invalid);
        }
        Ok(one_or(found.into_iter().map(Expression::Word).collect(), Expression::All))
    }
}

fn one_or(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &Expression) -> String {
        let joined = |parts: &[Expression], by: &str| {
            format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(by))
        };
        match expression {
            Expression::Word(word) => format!("{}{}", word.text, if word.prefix { "*" } else { "" }),
            Expression::All(parts) => joined(parts, " & "),
            Expression::Any(parts) => joined(parts, " | "),
            Expression::Not(part) => format!("!{}", shown(part)),
        }
    }

    #[test]
    fn operators_bind_and_the_last_word_is_a_prefix() {
        let cases = [
            ("a", "a*"),
            ("a b", "(a & b*)"),
            ("a AND b OR NOT c d", "((a & b) | (!c & d*))"),
            ("(a OR b) c", "((a | b) & c*)"),
            ("a (b)", "(a & b*)"),
            ("misc-full color", "((misc & full) & color*)"),
            ("a and b", "(a & and & b*)"),
            ("NOT NOT a", "!!a*"),
        ];
        for (text, expected) in cases {
            assert_eq!(Expression::parse(text).map(|e| shown(&e)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn of_a_whole_expression_no_word_is_a_prefix() {
        for (text, expected) in [("a", "a"), ("misc-full OR (b)", "((misc & full) | b)"), ("NOT a", "!a")] {
            assert_eq!(Expression::parse_whole(text).map(|e| shown(&e)).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(Expression::parse_whole("a AND"), Err(Invalid));
    }

    #[test]
    fn everything_else_is_invalid() {
        let deep = format!("{}a{}", "(".repeat(20), ")".repeat(20));
        for text in ["", " ", "(", ")", "a )", "(a", "()", "AND a", "a OR", "a AND OR b", "NOT", "!!!", &deep]
        {
            assert_eq!(Expression::parse(text), Err(Invalid), "{text}");
        }
    }

    #[test]
    fn sixty_four_words_are_enough_however_they_are_joined() {
        // Each of these counts so many times.
        for (part, count) in [("a ", 1), ("a.", 1), ("a+", 1), ("a-b ", 2), ("a AND ", 2), ("(a)", 3)] {
            let most = MAX_WORDS / count;
            let (fits, long) = (format!("{}a", part.repeat(most - 1)), format!("{}a", part.repeat(most + 1)));
            assert!(Expression::parse(&fits).is_ok(), "{fits}");
            assert_eq!(Expression::parse(&long), Err(Invalid), "{long}");
            assert_eq!(Expression::parse_whole(&long), Err(Invalid), "{long}");
        }
        assert_eq!(beginnings(&"a+".repeat(MAX_WORDS)).map(|all| all.len()), Ok(MAX_WORDS));
        assert_eq!(beginnings(&"a+".repeat(MAX_WORDS + 1)), Err(Invalid));
        assert_eq!(beginnings(" + "), Ok(Vec::new()));
    }
}
