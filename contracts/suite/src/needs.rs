//! What a hurl file needs before its first request, as its leading comments say.

use thiserror::Error;

/// One `# needs …` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// `# needs code: ADDRESS`
    Code {
        /// Who gets the mail.
        email: String,
    },
    /// `# needs session: ADDRESS` or `# needs session: ADDRESS as NAME`
    Session {
        /// Who signs in.
        email: String,
        /// Prefix of the variables, when the file uses more than one session.
        name: Option<String>,
    },
}

/// All needs of one file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs(pub Vec<Need>);

/// A `# needs` line that says nothing known.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{script}:{line}: `{text}` is not a need: write `# needs code: ADDRESS` or `# needs session: ADDRESS [as NAME]`"
)]
pub struct NeedsError {
    script: String,
    line: usize,
    text: String,
}

impl Needs {
    /// Reads the comments before the first request.
    ///
    /// # Errors
    /// When a line starts like a need but is not one: a misspelt need must not become a comment.
    pub fn of(script: &str, source: &str) -> Result<Self, NeedsError> {
        let mut needs = Vec::new();
        for (index, line) in
            source.lines().take_while(|line| line.is_empty() || line.starts_with('#')).enumerate()
        {
            let comment = line.trim_start_matches('#').trim();
            let Some(text) = comment.strip_prefix("needs ") else { continue };
            let wrong =
                || NeedsError { script: script.to_owned(), line: index + 1, text: comment.to_owned() };
            let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
            let words: Vec<&str> = rest.split_whitespace().collect();
            needs.push(match (kind, words.as_slice()) {
                ("code", [email]) => Need::Code { email: (*email).to_owned() },
                ("session", [email]) => Need::Session { email: (*email).to_owned(), name: None },
                ("session", [email, "as", name]) => {
                    Need::Session { email: (*email).to_owned(), name: Some((*name).to_owned()) }
                }
                _ => return Err(wrong()),
            });
        }
        Ok(Self(needs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read_from_the_leading_comments_only() {
        let source = "# needs code: a@example.com\n#\n# needs session: b@example.com as other\n\nGET x\n# needs y: z\n";
        let needs = Needs::of("x.hurl", source).unwrap();
        assert_eq!(
            needs.0,
            [
                Need::Code { email: "a@example.com".into() },
                Need::Session { email: "b@example.com".into(), name: Some("other".into()) },
            ]
        );
    }

    #[test]
    fn a_misspelt_need_names_its_line() {
        let error = Needs::of("x.hurl", "# A file.\n# needs sesion: a@example.com\n").unwrap_err();
        assert!(error.to_string().starts_with("x.hurl:2: `needs sesion: a@example.com`"), "{error}");
    }
}
