package zerobustest

// Validate sets what f says about the records of a table: a record for which it returns an error ends its stream with
// INVALID_ARGUMENT and the error's text, as the service ends it for a record that does not fit the table. All requests
// before it are durable and acknowledged first, whatever the script says of them, and once the steps that run have
// finished; nothing of its own request is durable, and no step acts on that. Nil takes all records again.
//
// f is called for the records of a stream in order, and from several goroutines when there are several streams. It must
// not change the record, but may keep it.
func (s *Server) Validate(table string, f func(record []byte) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.validators[table] = f
}

// validate asks the table's validator about the records of a request.
func (c *Connection) validate(recs [][]byte) error {
	c.server.mu.Lock()
	f := c.server.validators[c.create.Table]
	c.server.mu.Unlock()
	if f == nil {
		return nil
	}
	for _, rec := range recs {
		if err := f(rec); err != nil {
			return err
		}
	}
	return nil
}

// refuse settles what came before the request with the offset, which has a record that the validator refused. It
// returns the verdict.
func (c *Connection) refuse(offset int64, err error) error {
	c.acting.Wait() // late acknowledgements among them, which so come in order and when they are due
	if offset > 0 {
		c.ack(offset-1, false)
	}
	return invalid("Record decoder/encoder error: %v. Error Code: 4044, Error State: 3.", err)
}
