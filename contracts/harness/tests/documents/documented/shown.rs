//! The `cutover` commands that a page shows.

use std::path::Path;

/// A command as a page shows it.
pub(crate) struct Shown {
    pub(crate) page: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The commands in the code blocks of one page: fenced ones and indented ones, lines that end in `\` joined.
pub(crate) fn shown_in(page: &Path) -> Vec<Shown> {
    let text = std::fs::read_to_string(page).expect("a page is readable");
    let mut commands = Vec::new();
    let (mut is_fenced, mut begun): (bool, Option<Shown>) = (false, None);
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        }
        let is_code = is_fenced || line.starts_with("    ");
        let code = line.trim();
        let (code, goes_on) = code.strip_suffix('\\').map_or((code, false), |code| (code, true));
        if let Some(mut command) = begun.take() {
            command.text = format!("{} {}", command.text.trim(), code.trim());
            if goes_on {
                begun = Some(command);
            } else {
                commands.push(command);
            }
            continue;
        }
        let command = code.strip_prefix("cargo run -p cutover -- ").or_else(|| code.strip_prefix("cutover "));
        let Some(command) = command.filter(|_| is_code) else { continue };
        let page = page.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let command = Shown { page, line: number + 1, text: command.to_owned() };
        if goes_on {
            begun = Some(command);
        } else {
            commands.push(command);
        }
    }
    commands
}

/// The values that a reader fills in for a page's placeholders.
pub(crate) struct Fillings(pub(crate) Vec<(&'static str, String)>);

impl Fillings {
    /// The arguments as a shell would hand them over. A comment, a pipe and a redirection end the command.
    pub(crate) fn fill(&self, shown: &str) -> Vec<String> {
        let mut text = shown.to_owned();
        for (open, filled) in &self.0 {
            text = text.replace(open, filled);
        }
        let mut arguments = Vec::new();
        let (mut word, mut quote, mut is_word) = (String::new(), None, false);
        for character in text.chars() {
            match (quote, character) {
                (Some(end), c) if c == end => quote = None,
                (Some(_), c) => word.push(c),
                (None, c @ ('\'' | '"')) => (quote, is_word) = (Some(c), true),
                (None, '#' | '|' | '>' | '&') if !is_word => break,
                (None, c) if c.is_whitespace() => {
                    if std::mem::take(&mut is_word) {
                        arguments.push(std::mem::take(&mut word));
                    }
                }
                (None, c) => {
                    word.push(c);
                    is_word = true;
                }
            }
        }
        if is_word {
            arguments.push(word);
        }
        arguments
    }
}
