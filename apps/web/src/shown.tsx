import type { ComponentChildren } from "preact";
import type { ApiError, Book, Tag } from "./api.ts";
import type { Reading } from "./session.tsx";

export function Waiting() {
  return <p class="quiet" aria-busy="true">One moment…</p>;
}

export function Failed({ error }: { error: ApiError }) {
  return <p role="alert" class="alert">{error.words}</p>;
}

/** Shows what was read, or that it is not there yet, or why not. */
export function Shown<T>({ reading, children }: { reading: Reading<T>; children: (value: T) => ComponentChildren }) {
  switch (reading.state) {
    case "reading":
      return <Waiting />;
    case "failed":
      return <Failed error={reading.error} />;
    case "read":
      return <>{children(reading.value)}</>;
  }
}

/** A colour for each book, always the same one. */
function hue(id: number): number {
  return (id * 47) % 360;
}

export function Cover({ book }: { book: Book }) {
  return <span class="cover" aria-hidden="true" style={{ "--hue": String(hue(book.id)) }}>{book.title.slice(0, 1)}</span>;
}

export function Grid({ books }: { books: readonly Book[] }) {
  return (
    <ul class="grid">
      {books.map((book) => (
        <li key={book.id}>
          <a class="card" href={`/books/${book.id}`}>
            <Cover book={book} />
            <strong>{book.title}</strong>
            <span class="quiet">{book.kind.replaceAll("_", " ")}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

export function Tags({ tags }: { tags: readonly Tag[] }) {
  return (
    <ul class="tags">
      {tags.map(([kind, name]) => (
        <li key={`${kind}-${name}`}>
          <a href={`/books/tags/${encodeURIComponent(kind)}/${encodeURIComponent(name)}`}>{kind}: {name}</a>
        </li>
      ))}
    </ul>
  );
}

/** Links to the pages before and after. The API counts no pages: one that is not full is the last. */
export function Turn({ page, isLast, link }: { page: number; isLast: boolean; link: (page: number) => string }) {
  return (
    <nav class="row" aria-label="Turn">
      {page > 1 && <a class="button" rel="prev" href={link(page - 1)}>Previous</a>}
      <span class="quiet">Page {page}</span>
      {!isLast && <a class="button" rel="next" href={link(page + 1)}>Next</a>}
    </nav>
  );
}
