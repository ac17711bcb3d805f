import { useLocation, useRoute } from "preact-iso";
import { useState } from "preact/hooks";
import type { Book, Tag } from "../api.ts";
import { useReading } from "../session.tsx";
import { Cover, Grid, Shown, Tags, Turn } from "../shown.tsx";

/** Three rows of four on a wide screen. */
const PER_PAGE = 12;

/** The number in the address, if it is one; otherwise 1. */
function pageOf(text: string | undefined): number {
  const page = Number(text);
  return Number.isSafeInteger(page) && page > 0 ? page : 1;
}

export function BooksPage() {
  const { query } = useLocation();
  const page = pageOf(query.page);
  const reading = useReading<Book[]>(`/books?per-page=${PER_PAGE}&page=${page}`);
  return (
    <>
      <h1>Books</h1>
      <Shown reading={reading}>
        {(books) => (
          <>
            <Grid books={books} />
            <Turn page={page} isLast={books.length < PER_PAGE} link={(to) => `/books?page=${to}`} />
          </>
        )}
      </Shown>
    </>
  );
}

export function BookPage() {
  const { params } = useRoute();
  const reading = useReading<Book>(`/books/${encodeURIComponent(params.bookId ?? "")}`);
  return (
    <Shown reading={reading}>
      {(book) => (
        <article class="book">
          <Cover book={book} />
          <div>
            <h1>{book.title}</h1>
            <p class="quiet">{[book.kind.replaceAll("_", " "), book.language, book.page && `${book.page} pages`].filter(Boolean).join(" · ")}</p>
            <Tags tags={book.tags} />
            <p><a class="button primary" href={`/books/${book.id}/reader`}>Read</a></p>
          </div>
        </article>
      )}
    </Shown>
  );
}

/** The pages of a book. The files of their images are on the file host, which this application does not open yet. */
export function ReaderPage() {
  const { params } = useRoute();
  const { query } = useLocation();
  const reading = useReading<Book>(`/books/${encodeURIComponent(params.bookId ?? "")}`);
  return (
    <Shown reading={reading}>
      {(book) => {
        const last = book.page ?? 1;
        const page = Math.min(pageOf(query.page), last);
        return (
          <>
            <p><a href={`/books/${book.id}`}>← {book.title}</a></p>
            <div class="sheet"><span>{page}</span></div>
            <Turn page={page} isLast={page >= last} link={(to) => `/books/${book.id}/reader?page=${to}`} />
          </>
        );
      }}
    </Shown>
  );
}

export function TagPage() {
  const { params } = useRoute();
  const [kind, name] = [params.tagKind ?? "", params.tagName ?? ""];
  // The API reads the text up to the first hyphen as the kind.
  const tag = encodeURIComponent(`${kind}-${name.replaceAll(" ", "-")}`);
  const reading = useReading<[Tag, Book[]][]>(`/books?tags[]=${tag}&per-page=${PER_PAGE}`);
  return (
    <>
      <h1>{kind}: {name}</h1>
      <Shown reading={reading}>
        {(groups) => {
          const books = groups.flatMap(([, found]) => found);
          return books.length > 0 ? <Grid books={books} /> : <p class="quiet">No book has this tag.</p>;
        }}
      </Shown>
    </>
  );
}

export function SearchPage() {
  const { query, route } = useLocation();
  const words = query.q ?? "";
  const [typed, setTyped] = useState(words);
  return (
    <>
      <h1>Search</h1>
      <form
        class="row"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          route(`/search/books?q=${encodeURIComponent(typed.trim())}`);
        }}
      >
        <input type="search" name="q" aria-label="Words of a title" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        <button type="submit" class="primary">Search</button>
      </form>
      {words !== "" && <Found words={words} />}
    </>
  );
}

function Found({ words }: { words: string }) {
  const reading = useReading<Book[]>(`/books/search?q=${encodeURIComponent(words)}&search-kind=title&per-page=${PER_PAGE}`);
  return (
    <Shown reading={reading}>
      {(books) => (books.length > 0 ? <Grid books={books} /> : <p class="quiet">No title has these words.</p>)}
    </Shown>
  );
}
