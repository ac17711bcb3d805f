import { useSession } from "../session.tsx";

export function HomePage() {
  const { session } = useSession();
  return (
    <section class="hero">
      <h1>{session.state === "in" ? `Welcome back, ${session.person.name}` : "A small library"}</h1>
      <p>Find a book, keep the ones you like, and go on reading where you stopped.</p>
      <p class="row">
        <a class="button primary" href="/books">Browse the books</a>
        <a class="button" href="/search/books">Search</a>
      </p>
    </section>
  );
}

export function NotFoundPage() {
  return (
    <section class="panel">
      <h1>Page not found</h1>
      <p class="quiet">This address belongs to no page.</p>
      <p><a class="button" href="/">Home</a></p>
    </section>
  );
}
