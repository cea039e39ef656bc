\set id random(1, 9223372036854775806)
\set account random(0, 3999999)
SELECT reserve(md5((:id)::text)::uuid, 'buyer-' || (:account)::text, '{0,1,2}', '{1,1,1}', '17 minutes');
SELECT confirm(md5((:id)::text)::uuid);
