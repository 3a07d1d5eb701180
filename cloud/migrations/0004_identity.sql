-- How people and programs prove who they are: one-time codes, sign-ins with their refresh tokens, API keys, and the counters
-- that make guessing slow on all replicas together. Nothing here can be read back into a code, a token or a key.

-- A phone number as it is compared, `+14155552671`; null when its country is not told, because then it is anybody's.
create function phone_key(phone text) returns text language sql immutable parallel safe as
$$ select '+' || regexp_replace(bare, '^(\+|00)', '')
   from (select regexp_replace(phone, '[\s().\-/]', '', 'g') as bare) it
   where bare ~ '^(\+|00)[1-9][0-9]{7,14}$' $$;
create unique index users_phone_key on users (phone_key(phone));

-- An address or number that a person wrote into his own record is not his until he shows that its messages reach him: who
-- signs in with a code is let into the record whose owner showed it, and takes it away from any other.
alter table users
    add column phone_proved boolean not null default true,
    add column email_proved boolean not null default true;
create function what_one_claims_is_not_proved() returns trigger language plpgsql as $$
begin
    if current_user = 'evb_viewer' and not viewer_is_administrator() then
        new.phone_proved := new.phone_proved and tg_op = 'UPDATE' and new.phone is not distinct from old.phone;
        new.email_proved := new.email_proved and tg_op = 'UPDATE' and new.email is not distinct from old.email;
    end if;
    return new;
end $$;
create trigger claimed before insert or update on users for each row execute function what_one_claims_is_not_proved();

create table login_codes (
    -- phone number or e-mail address
    account        text primary key,
    code_hash      bytea not null,
    attempts_left  smallint not null,
    expires_at     timestamptz not null
);

-- One per login: ending it ends its access token and all its refresh tokens.
create table sign_ins (
    id             uuid primary key,
    user_id        bigint not null references users on delete cascade,
    -- the user's when it began: raising that ends it
    token_version  integer not null,
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null
);
create index sign_ins_user on sign_ins (user_id);
create index sign_ins_expiry on sign_ins (expires_at);

create table refresh_tokens (
    token_hash  bytea primary key,
    sign_in     uuid not null references sign_ins on delete cascade,
    created_at  timestamptz not null default now(),
    spent_at    timestamptz,
    -- the token that it was exchanged for
    successor   bytea
);
create index refresh_tokens_sign_in on refresh_tokens (sign_in);

-- A key of an organization for a program, which acts as a user of its own.
create table api_keys (
    id               bigint generated always as identity primary key,
    user_id          bigint not null unique references users on delete cascade,
    organization_id  bigint not null references organizations on delete cascade,
    digest           bytea not null,
    created_by       bigint references users on delete set null,
    created_at       timestamptz not null default now(),
    expires_at       timestamptz,
    last_used_at     timestamptz,
    revoked_at       timestamptz
);
create index api_keys_organization on api_keys (organization_id);

-- What an organization calls a member: all that it learns of him is what it knew.
alter table organization_members
    add column contact text,
    add column name text;

-- Counters of attempts; a crash may empty them.
create unlogged table rate_limits (
    key      bytea primary key,
    count    integer not null,
    ends_at  timestamptz not null
);
