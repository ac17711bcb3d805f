-- More of what the legacy backend stores, about one person: the ids are its own, UUIDs of version 5 (made with Python's uuid5).
INSERT INTO likes_book VALUES ('b65e809e-96b5-5475-aafe-0a0c62c75ac3', 9, '00000000-0000-7000-8000-000000000005', true, '2022-03-02T00:00:00Z');
INSERT INTO likes_book_tag VALUES ('fc42fe11-697a-5982-81e5-63330dfcd19a', 'artist', 'artist 8', '00000000-0000-7000-8000-000000000005', false, '2022-03-03T00:00:00Z');
INSERT INTO histories_book VALUES ('64e6643b-5e36-5f25-bf95-10825b5f6ed1', 7, '00000000-0000-7000-8000-000000000005', 1, '2022-03-04T00:00:00Z', '2022-03-05T00:00:00.5Z');
INSERT INTO notifications_book VALUES ('b65e809e-96b5-5475-aafe-0a0c62c75ac3', 9, '00000000-0000-7000-8000-000000000005', '2022-03-06T00:00:00Z');
INSERT INTO notifications_book_tag VALUES ('b44cbc0b-1316-529a-9e8f-2aaa54c030de', 'b65e809e-96b5-5475-aafe-0a0c62c75ac3', 'artist', 'artist 10');
INSERT INTO fcm_token VALUES ('00000000-0000-4000-8000-00000000000a', '00000000-0000-7000-8000-000000000005', 'an older token', now());
