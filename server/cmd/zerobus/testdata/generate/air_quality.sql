CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA;
