import type { Book } from "../api.ts";
import { useReading } from "../session.tsx";
import { Grid, Shown } from "../shown.tsx";

interface Item {
  readonly kind: string;
  readonly book?: Book;
}

/** Books that a person liked or read. Likes of tags have no book of their own and are left out. */
export function Activity({ title, path, empty }: { title: string; path: string; empty: string }) {
  const reading = useReading<Item[]>(path);
  return (
    <>
      <h1>{title}</h1>
      <Shown reading={reading}>
        {(items) => {
          const books = items.flatMap((item) => (item.book === undefined ? [] : [item.book]));
          return books.length > 0 ? <Grid books={books} /> : <p class="quiet">{empty}</p>;
        }}
      </Shown>
    </>
  );
}
