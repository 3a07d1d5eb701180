-- Stations of two tenants may have one name: what an alarm is about is known with its gateway only. What is about no gateway,
-- such as a sign-in, stays known by kind and subject.
alter table alarms drop constraint alarms_kind_subject_key;
alter table alarms add constraint alarms_identity unique nulls not distinct (kind, subject, gateway_id);
