-- What the legacy backend's user and library services create in PostgreSQL, with a few rows. The names of the
-- constraints are its own.
CREATE TABLE users (
    id uuid NOT NULL, name varchar NOT NULL, email varchar NOT NULL, role int2 NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id), CONSTRAINT users_name_key UNIQUE (name), CONSTRAINT users_email_key UNIQUE (email)
);
CREATE TABLE likes_book (
    id uuid PRIMARY KEY, book_id int4 NOT NULL, user_id uuid NOT NULL, is_dislike bool NOT NULL, created_at timestamptz NOT NULL,
    CONSTRAINT "fk-likes_book-user_id" FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE likes_book_tag (
    id uuid PRIMARY KEY, tag_kind varchar NOT NULL, tag_name varchar NOT NULL, user_id uuid NOT NULL,
    is_dislike bool NOT NULL, created_at timestamptz NOT NULL,
    CONSTRAINT "fk-likes_book_tag-user_id" FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE histories_book (
    id uuid PRIMARY KEY, book_id int4 NOT NULL, user_id uuid NOT NULL, page int4 NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    CONSTRAINT "fk-histories_book-user_id" FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE notifications_book (id uuid PRIMARY KEY, book_id int4 NOT NULL, user_id uuid NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE notifications_book_tag (
    id uuid PRIMARY KEY, notification_book_id uuid NOT NULL, tag_kind varchar NOT NULL, tag_name varchar NOT NULL,
    CONSTRAINT "fk-notifications_book_tag-notification_book_id" FOREIGN KEY (notification_book_id)
        REFERENCES notifications_book (id) ON DELETE CASCADE
);
CREATE TABLE fcm_token (udid uuid PRIMARY KEY, user_id uuid NOT NULL, fcm_token varchar NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at int8 NOT NULL);

CREATE TYPE book_tags_kind_enum AS ENUM ('artist', 'group', 'series', 'character', 'female', 'male', 'misc', 'tag');
CREATE TABLE books (
    id int4 PRIMARY KEY, title varchar NOT NULL, language varchar NOT NULL, page int2 NOT NULL, kind varchar NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE INDEX "IDX_books_title" ON books (title);
CREATE INDEX "IDX_books_kind" ON books (kind);
CREATE TABLE book_tags (id serial PRIMARY KEY, kind book_tags_kind_enum NOT NULL, name varchar NOT NULL);
CREATE INDEX "IDX_book_tags_kind" ON book_tags (kind);
CREATE INDEX "IDX_book_tags_name" ON book_tags (name);
CREATE TABLE book_tag_ref (
    id bigserial PRIMARY KEY, book_id int4 REFERENCES books ON DELETE CASCADE, book_tag_id int4 REFERENCES book_tags ON DELETE CASCADE
);
CREATE INDEX "IDX_book_tag_ref_book_id" ON book_tag_ref (book_id);
CREATE INDEX "IDX_book_tag_ref_book_tag_id" ON book_tag_ref (book_tag_id);
CREATE TABLE book_tsvector (id int4 PRIMARY KEY, title_tsv tsvector NOT NULL, tag_tsv tsvector NOT NULL);
CREATE INDEX "IDX_book_tsvector_title_tsv" ON book_tsvector (title_tsv);
CREATE INDEX "IDX_book_tsvector_tag_tsv" ON book_tsvector (tag_tsv);
CREATE TABLE migrations (id serial PRIMARY KEY, timestamp int8 NOT NULL, name varchar NOT NULL);

INSERT INTO users SELECT format('00000000-0000-7000-8000-%s', lpad(to_hex(n), 12, '0'))::uuid, 'Person ' || n,
    format('p%s@example.com', n), n % 2, timestamptz '2022-01-31 17:12:00.5+00' + n * interval '1 minute',
    timestamptz '2022-02-01 00:00:00+00' FROM generate_series(1, 3000) AS n;
INSERT INTO likes_book SELECT md5('like ' || n)::uuid, n, format('00000000-0000-7000-8000-%s', lpad(to_hex(n), 12, '0'))::uuid,
    n % 7 = 0, timestamptz '2022-03-01 00:00:00+00' FROM generate_series(1, 500) AS n;
INSERT INTO seaql_migrations VALUES ('m20220110_000001_create_users_table', 1);
INSERT INTO books SELECT n, 'An older book ' || n, 'english', 3, 'game_cg', '2022-01-31T17:12:00.5Z', '2022-02-01T00:00:00Z'
    FROM generate_series(1, 200) AS n;
INSERT INTO book_tags (kind, name) SELECT 'artist', 'artist ' || n FROM generate_series(1, 20) AS n;
INSERT INTO book_tag_ref (book_id, book_tag_id) SELECT n, n % 20 + 1 FROM generate_series(1, 200) AS n;
INSERT INTO book_tsvector SELECT id, to_tsvector('simple', title), to_tsvector('simple', 'artist+artist') FROM books;
INSERT INTO migrations (timestamp, name) VALUES (1, 'Init1');
-- A table without a primary key, with equal rows.
CREATE TABLE visits (path varchar, seen int4);
INSERT INTO visits SELECT '/books/' || n % 3, n % 2 FROM generate_series(1, 50) AS n;
INSERT INTO visits VALUES (NULL, 1), ('', NULL);
