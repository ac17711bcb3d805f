//! The guard itself, with one thing added: a request with more than sixty headers makes it trap.

/// How many headers a request may have before it traps.
pub(crate) const MOST: u8 = 60;

const EXPORT: &[u8] = b"proxy_on_request_headers";

/// Adds one function to the module: it traps when its second parameter (how many headers there are) is more than
/// [`MOST`] and otherwise calls the guard's own function, whose export it replaces.
#[expect(clippy::expect_used, clippy::panic, reason = "a guard that cannot be read fails the test")]
pub(crate) fn module(guard: &[u8]) -> Vec<u8> {
    let (magic, mut rest) = guard.split_at_checked(8).expect("a module has a header");
    let mut sections: Vec<(u8, Vec<u8>)> = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = number(after);
        let (contents, after) = after.split_at_checked(length).expect("a whole section");
        sections.push((*id, contents.to_vec()));
        rest = after;
    }
    let contents = |id: u8| {
        let found = sections.iter().find(|(known, _)| *known == id);
        found.map(|(_, contents)| contents.clone()).expect("the section is there")
    };

    // 3: the type of each function, none of them beyond one byte. 7: the exports. 10: the code of each function.
    let (functions, exports, code) = (contents(3), contents(7), contents(10));
    let (count, types) = number(&functions);
    let at = exports.windows(EXPORT.len()).position(|name| name == EXPORT).expect("the guard exports it");
    // After the name: one byte that says it is a function, and its number.
    let index_at = at + EXPORT.len() + 1;
    let (before, index) = exports.split_at_checked(index_at).expect("an export has an index");
    let (own, behind) = number(index);
    let imported = imported_functions(&contents(2));
    let Some(kind) = own.checked_sub(imported).and_then(|index| types.get(index)) else {
        panic!("function {own} is not the module's own")
    };

    // No locals; if local 1 > MOST (one byte below 64, so that it is positive) then unreachable; call the guard's own.
    let mut body = vec![0, 0x20, 1, 0x41, MOST, 0x4b, 0x04, 0x40, 0, 0x0b, 0x20, 0, 0x20, 1, 0x20, 2, 0x10];
    body.extend(leb(own));
    body.push(0x0b);
    let (bodies, codes) = number(&code);
    let changed = [
        (3, [&leb(count + 1), types, &[*kind]].concat()),
        (7, [before, &leb(imported + count), behind].concat()),
        (10, [&leb(bodies + 1), codes, &leb(body.len()), &body].concat()),
    ];
    let mut module = magic.to_vec();
    for (id, contents) in sections {
        let now = changed.iter().find(|(known, _)| *known == id).map_or(&contents, |(_, contents)| contents);
        module.push(id);
        module.extend(leb(now.len()));
        module.extend(now);
    }
    module
}

/// Number of functions that the module imports; the guard imports nothing else.
#[expect(clippy::expect_used, clippy::panic, reason = "a guard that cannot be read fails the test")]
fn imported_functions(section: &[u8]) -> usize {
    let (count, mut rest) = number(section);
    for _ in 0..count {
        for _ in ["module", "name"] {
            let (length, after) = number(rest);
            rest = after.get(length..).expect("a whole name");
        }
        let Some((0, after)) = rest.split_first() else { panic!("the guard imports functions alone") };
        rest = number(after).1;
    }
    count
}

/// An unsigned number (LEB128), and the bytes after it.
#[expect(clippy::expect_used, reason = "a guard that cannot be read fails the test")]
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let length = bytes.iter().position(|byte| *byte < 128).expect("a number ends") + 1;
    let (digits, rest) = bytes.split_at_checked(length).expect("as long as was counted");
    (digits.iter().rev().fold(0, |value, digit| value << 7 | usize::from(digit & 127)), rest)
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(u8::try_from(number & 127).unwrap_or_default() | 128);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
    bytes
}
