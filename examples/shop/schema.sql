CREATE TABLE IF NOT EXISTS product (
  id integer PRIMARY KEY,
  name text NOT NULL,
  cents integer NOT NULL CHECK (cents >= 0)
);

INSERT INTO product (id, name, cents) VALUES
  (1, 'espresso', 220),
  (2, 'flat white', 380),
  (3, 'almond croissant', 310)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, cents = EXCLUDED.cents;
