-- A code may renew an identity instead of making one: the box that uses it goes on as that gateway, and no other box does.
alter table claim_codes add column renews uuid references gateways on delete cascade;

-- Since when there has been a trouble, and who saw to it.
alter table alarms add column first_at timestamptz not null default now();
alter table alarms add column acknowledged_by bigint references users on delete set null;
update alarms set first_at = raised_at;
