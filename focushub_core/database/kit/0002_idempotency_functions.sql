-- What the habit asks in one message with BEGIN and in one with COMMIT, so that a key costs no round trips (http/idempotency.py).

-- One row where the key's lock is another's, or an answer is kept; else none. Each statement of a function sees what is
-- committed when it begins, so the look is taken when the lock is held. Its plan is kept by the session: made while the
-- table was small, it would be a look through the whole table, and stay so while that grows.
CREATE FUNCTION focushub.key_is_taken(
    lock bigint, of_user uuid, of_route text, of_key text, kept interval
) RETURNS SETOF integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    kept_at timestamptz;
BEGIN
    IF pg_try_advisory_xact_lock(lock) THEN
        SELECT k.created_at INTO kept_at FROM focushub.idempotency_keys AS k
        WHERE k.user_id = of_user
            -- a function takes the collation of what it is given, and the index has the default one
            AND k.route = of_route COLLATE "default" AND k.key = of_key COLLATE "default";
        IF kept_at IS NULL OR kept_at <= now() - kept THEN
            RETURN;
        END IF;
    END IF;
    RETURN NEXT 1;
END $$;

-- Raises unique_violation where an answer that still counts is kept already.
CREATE FUNCTION focushub.keep_answer(
    of_user uuid, of_route text, of_key text, said_fingerprint bytea, said_status integer, said_headers jsonb,
    said_body bytea, kept interval
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO focushub.idempotency_keys AS k (user_id, route, key, fingerprint, status, headers, body)
    VALUES (of_user, of_route, of_key, said_fingerprint, said_status, said_headers, said_body)
    ON CONFLICT (user_id, route, key) DO UPDATE
    SET fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, headers = EXCLUDED.headers,
        body = EXCLUDED.body, created_at = EXCLUDED.created_at
    WHERE k.created_at <= now() - kept;
    IF NOT FOUND THEN
        RAISE unique_violation USING MESSAGE = 'an answer is kept already', CONSTRAINT = 'idempotency_keys_pkey';
    END IF;
END $$;
