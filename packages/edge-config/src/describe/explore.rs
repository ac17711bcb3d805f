//! Has the reader read documents until none of them shows anything new.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::docs::Docs;
use super::document::{self, Document, Path, Step};
use super::{Described, Field};
use crate::fault::Collector;
use crate::load;
use crate::notes::{Note, Notes, Shape};
use crate::reader::Context;

/// More documents than this would mean that the search does not end; it takes about two thousand.
const MOST_DOCUMENTS: usize = 50_000;

pub(super) fn edge_file() -> Described {
    let docs = Docs::read();
    let mut search = Search::default();
    search.queue.push_back(Document::Map(Vec::new()));
    search.go();
    // Some fields are read only beside another one with a good value.
    search.try_beside_examples(&docs);
    search.go();
    search.described(&[], &docs)
}

/// What is known so far.
#[derive(Default)]
struct Search {
    queue: VecDeque<Document>,
    /// The shapes that were expected at a path.
    shapes: BTreeMap<Path, Vec<Shape>>,
    /// The fields of the mapping at a path, in order.
    fields: BTreeMap<Path, Vec<Looked>>,
    /// How often the mapping at a path was read.
    opened: BTreeMap<Path, usize>,
    known: BTreeSet<(Path, String)>,
    tried: usize,
}

struct Looked {
    name: &'static str,
    /// How often the reader demanded it.
    demanded: usize,
}

impl Search {
    /// Reads documents until none is left.
    fn go(&mut self) {
        while let Some(document) = self.queue.pop_front()
            && self.tried < MOST_DOCUMENTS
        {
            self.tried += 1;
            self.learn(&document);
        }
    }

    /// Queues, for each field whose value was never read, documents in which one other field of its mapping has its example, or
    /// all have.
    fn try_beside_examples(&mut self, docs: &Docs) {
        let unread = |path: &Path| !self.shapes.contains_key(path);
        let mut documents = Vec::new();
        for (mapping, fields) in &self.fields {
            let inside = |name: &str| {
                let mut path = mapping.clone();
                path.push(Step::Field(name.to_owned()));
                path
            };
            let examples: Vec<(Path, Document)> = fields
                .iter()
                .filter_map(|field| {
                    let path = inside(field.name);
                    let example = docs.of(&document::shown(&path))?.example?;
                    Some((path, Document::of(&example)))
                })
                .collect();
            for path in fields.iter().map(|field| inside(field.name)).filter(unread) {
                let mut whole = Document::Map(Vec::new());
                for (other, example) in examples.iter().filter(|(other, _)| *other != path) {
                    whole.put(other, example.clone());
                }
                documents.push((whole, path.clone()));
                for (other, example) in examples.iter().filter(|(other, _)| *other != path) {
                    let mut document = Document::Map(Vec::new());
                    document.put(other, example.clone());
                    documents.push((document, path.clone()));
                }
            }
        }
        for (document, mut path) in documents {
            if let Some(step) = path.pop() {
                self.try_values(&document, &path, step);
            }
        }
    }

    /// Has the reader read `document`, and queues further ones for each thing that is new.
    fn learn(&mut self, document: &Document) {
        let (tree, paths) = document.tree();
        let (faults, notes) = (Collector::default(), Notes::default());
        let context = Context { faults: &faults, environment: &|_| None, notes: Some(&notes) };
        let _ = load::read(context, &tree, load::revision(""));
        for note in notes.into_notes() {
            match note {
                Note::Expects(place, shape) => {
                    let Some(path) = document::path_of(&paths, place) else { continue };
                    if shape == Shape::Mapping {
                        *self.opened.entry(path.clone()).or_default() += 1;
                    }
                    let shapes = self.shapes.entry(path.clone()).or_default();
                    if !shapes.contains(&shape) {
                        shapes.push(shape.clone());
                        self.try_shape(document, path, &shape);
                    }
                }
                Note::LooksFor { mapping, name, is_required } => {
                    let Some(path) = document::path_of(&paths, mapping) else { continue };
                    let fields = self.fields.entry(path.clone()).or_default();
                    match fields.iter_mut().find(|field| field.name == name) {
                        Some(field) => field.demanded += usize::from(is_required),
                        None => fields.push(Looked { name, demanded: usize::from(is_required) }),
                    }
                    if self.known.insert((path.clone(), name.to_owned())) {
                        self.try_values(document, path, Step::Field(name.to_owned()));
                    }
                }
            }
        }
    }

    /// Queues `document` with a value of every kind at `step` of `path`.
    fn try_values(&mut self, document: &Document, path: &Path, step: Step) {
        let probes = [
            Document::Map(Vec::new()),
            Document::List(Vec::new()),
            Document::Text(document::ENTRY.to_owned()),
            Document::Int(1),
            Document::Bool(true),
        ];
        let mut path = path.clone();
        path.push(step);
        for probe in probes {
            self.try_one(document, &path, probe);
        }
    }

    fn try_one(&mut self, document: &Document, path: &Path, value: Document) {
        let mut document = document.clone();
        document.put(path, value);
        self.queue.push_back(document);
    }

    /// Queues what a value of this shape leads to.
    fn try_shape(&mut self, document: &Document, path: &Path, shape: &Shape) {
        match shape {
            Shape::Entries | Shape::Keyed => self.try_values(document, path, Step::Entry),
            Shape::List => self.try_values(document, path, Step::Element),
            Shape::Choice(words) => {
                for word in words {
                    self.try_one(document, path, Document::Text((*word).to_owned()));
                }
            }
            Shape::Number { least, most: _ } => {
                self.try_one(document, path, Document::Int(i64::try_from(*least).unwrap_or(i64::MAX)));
            }
            Shape::Percent => self.try_one(document, path, Document::Int(100)),
            Shape::Expanded(_) => {
                // One of these is valid for most types.
                for sample in
                    ["127.0.0.1:1", "1", "00000000-0000-0000-0000-000000000000", "http://127.0.0.1:1"]
                {
                    self.try_one(document, path, Document::Text(sample.to_owned()));
                }
            }
            Shape::Mapping | Shape::Text | Shape::Name | Shape::Boolean => {}
        }
    }

    /// What is known about the value at `path`.
    fn described(&self, path: &[Step], docs: &Docs) -> Described {
        let shapes = self.shapes.get(path).cloned().unwrap_or_default();
        let inside = |step: Step| {
            let mut path = path.to_vec();
            path.push(step);
            path
        };
        let opened = self.opened.get(path).copied().unwrap_or_default();
        let fields = self.fields.get(path).map(Vec::as_slice).unwrap_or_default();
        let fields = fields.iter().map(|looked| {
            let path = inside(Step::Field(looked.name.to_owned()));
            let shown = document::shown(&path);
            Field {
                name: looked.name.to_owned(),
                is_required: looked.demanded >= opened,
                doc: docs.of(&shown),
                value: self.described(&path, docs),
                path: shown,
            }
        });
        let fields = fields.collect();
        let one = |shape: &Shape, step: Step| {
            shapes.contains(shape).then(|| Box::new(self.described(&inside(step), docs)))
        };
        Described {
            fields,
            entry: one(&Shape::Entries, Step::Entry).or_else(|| one(&Shape::Keyed, Step::Entry)),
            element: one(&Shape::List, Step::Element),
            shapes,
        }
    }
}
