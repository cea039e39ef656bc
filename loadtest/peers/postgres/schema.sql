-- The sale in PostgreSQL. Every call is one transaction. It locks the account's row first, then the pools in ascending
-- order, so that calls cannot deadlock. A failing call raises an exception that names the reason and rolls everything back.

CREATE TABLE pool (
    id        integer PRIMARY KEY,
    session   integer NOT NULL,
    available integer NOT NULL CHECK (available >= 0)
) WITH (fillfactor = 10); -- few rows, updated all the time: leaves room for their versions on the same page

CREATE TABLE account (
    name    text PRIMARY KEY,
    tickets integer NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE account_session (
    account text NOT NULL,
    session integer NOT NULL,
    tickets integer NOT NULL,
    PRIMARY KEY (account, session)
) WITH (fillfactor = 80);

CREATE TABLE reservation (
    id           uuid PRIMARY KEY,
    account      text NOT NULL,
    state        text NOT NULL,
    pools        integer[] NOT NULL,
    quantities   integer[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    confirmed_at timestamptz
) WITH (fillfactor = 80);

CREATE INDEX reservation_held ON reservation (expires_at) WHERE state = 'held';

-- reserve holds a quantity of each pool. The pools are given in ascending order.
CREATE FUNCTION reserve(p_id uuid, p_account text, p_pools integer[], p_quantities integer[], p_ttl interval)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    l       record;
    v_requested integer := (SELECT sum(q) FROM unnest(p_quantities) q);
    v_has   integer;
BEGIN
    -- Creates or locks the account, so that its caps are checked by one call at a time.
    INSERT INTO account VALUES (p_account, v_requested)
        ON CONFLICT (name) DO UPDATE SET tickets = account.tickets + v_requested RETURNING tickets INTO v_has;
    INSERT INTO reservation VALUES (p_id, p_account, 'held', p_pools, p_quantities, now(), now() + p_ttl) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM FROM reservation WHERE id = p_id AND account = p_account AND pools = p_pools AND quantities = p_quantities;
        IF FOUND THEN RAISE EXCEPTION 'repeated'; END IF;
        RAISE EXCEPTION 'id_reused';
    END IF;
    FOR l IN SELECT p.session, sum(x.quantity)::integer AS quantity
             FROM unnest(p_pools, p_quantities) AS x(pool, quantity) JOIN pool p ON p.id = x.pool GROUP BY p.session LOOP
        INSERT INTO account_session AS s VALUES (p_account, l.session, l.quantity)
            ON CONFLICT (account, session) DO UPDATE SET tickets = s.tickets + excluded.tickets WHERE s.tickets + excluded.tickets <= 6;
        IF NOT FOUND OR l.quantity > 6 THEN RAISE EXCEPTION 'session_limit_exceeded'; END IF;
    END LOOP;
    IF v_has > 30 THEN RAISE EXCEPTION 'account_cap_exceeded'; END IF;
    FOR l IN SELECT pool, quantity FROM unnest(p_pools, p_quantities) AS x(pool, quantity) LOOP
        UPDATE pool SET available = available - l.quantity WHERE id = l.pool AND available >= l.quantity;
        IF NOT FOUND THEN RAISE EXCEPTION 'sold_out'; END IF;
    END LOOP;
    RETURN 'done';
END $$;

-- confirm sells what is held, or returns it if the hold has expired.
CREATE FUNCTION confirm(p_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r reservation;
    l record;
BEGIN
    UPDATE reservation SET state = 'confirmed', confirmed_at = now() WHERE id = p_id AND state = 'held' AND expires_at > now();
    IF FOUND THEN RETURN 'done'; END IF;
    SELECT * INTO r FROM reservation WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'reservation_not_found'; END IF;
    IF r.state = 'confirmed' THEN RETURN 'repeated'; END IF;
    IF r.state = 'held' THEN
        UPDATE reservation SET state = 'expired' WHERE id = p_id;
        FOR l IN SELECT p.id, p.session, x.quantity FROM unnest(r.pools, r.quantities) AS x(pool, quantity) JOIN pool p ON p.id = x.pool ORDER BY p.id LOOP
            UPDATE account SET tickets = tickets - l.quantity WHERE name = r.account;
            UPDATE account_session SET tickets = tickets - l.quantity WHERE account = r.account AND session = l.session;
            UPDATE pool SET available = available + l.quantity WHERE id = l.id;
        END LOOP;
    END IF;
    RETURN 'reservation_expired';
END $$;
