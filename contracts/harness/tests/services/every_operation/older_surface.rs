//! The requests that `contracts/whole` has for each operation of the older surface.

use std::collections::BTreeMap;

use harness::operations::Operation;
use harness::repository;

use super::run::is_of;
use crate::hostile::older;

/// The operations of the auth service, which has them on both surfaces, and the file host's.
const MORE: [&str; 6] = [
    "POST /auth/code",
    "POST /auth/token",
    "GET /auth/token",
    "PATCH /auth/token",
    "DELETE /auth/token",
    "GET /image/library/{book}/{file}",
];

/// Each operation with the number of its requests; one that reads a list in several ways is there for each way.
pub(crate) fn counted() -> BTreeMap<String, usize> {
    let requests = requests();
    let all = older::operations().into_iter().map(|(_, operation)| named(&operation));
    all.chain(MORE.map(str::to_owned)).map(|name| (name.clone(), count(&name, &requests))).collect()
}

/// `GET /books?ids[]` for a list by ids, and method and path for most.
fn named(operation: &Operation) -> String {
    let way = operation.parameters.iter().find(|one| one.name.ends_with("[]"));
    let way = way.map(|one| format!("?{}", one.name)).unwrap_or_default();
    format!("{} {}{way}", operation.method, operation.path)
}

fn count(name: &str, requests: &[(String, String)]) -> usize {
    let (method, rest) = name.split_once(' ').expect("a method and a path");
    let (path, way) = rest.split_once('?').unwrap_or((rest, ""));
    let is_this = |target: &str| {
        let query = target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        is_of(path, target) && query.starts_with(way)
    };
    requests.iter().filter(|(sent, target)| sent == method && is_this(target)).count()
}

/// Method and target of each request of the set.
fn requests() -> Vec<(String, String)> {
    let whole = repository().join("contracts/whole");
    let directories = std::fs::read_dir(whole).expect("the set is there").flatten().map(|entry| entry.path());
    let files = directories
        .filter(|path| path.is_dir())
        .flat_map(|path| std::fs::read_dir(path).expect("the set is readable").flatten());
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.path()).expect("the set is readable");
        let found = text.lines().filter_map(|line| line.split_once(" {{api}}"));
        all.extend(found.map(|(method, target)| (method.to_owned(), target.to_owned())));
    }
    all
}
