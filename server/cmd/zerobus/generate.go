package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/schema"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func newGenerateProto() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate-proto --table CATALOG.SCHEMA.TABLE --output FILE",
		Short: "Write the .proto file of a table, or check one against it",
		Long: `Reads the columns of a table and writes a .proto file (proto2) with the message that a stream takes as its record: one
field for each column, of the same name. A column is optional, or required when it is NOT NULL; an ARRAY is repeated, a MAP
a map, a STRUCT a message within the message. What protobuf cannot say, such as an array of arrays, is an error that names
the column.

The table is looked up in Unity Catalog, or in zerobus serve, with the credentials of a principal that may read it; give
the secret in the environment, where other users do not see it. Two other sources need neither server nor credentials:
--ddl takes a CREATE TABLE statement, --delta a Delta table in a local directory, whoever wrote it.

--descriptor-out writes the message as a serialized google.protobuf.DescriptorProto, which zerobus.ProtoTableBytes takes:
a stream can be opened with it without protoc and without generated code.

--check writes nothing. It compares a message that is there already with the table, and lists

  refused   what keeps a stream from opening: the exit status is 1
  risky     what ends a stream at the first value that the column does not take
  absent    columns that are NULL in every record, because no field feeds them

The file is .proto text, or a FileDescriptorSet (protoc --include_imports --descriptor_set_out) or DescriptorProto when it
ends in .pb, .bin or .desc or is no text.

FILE may be - for standard output, or for standard input where it is read. Files are replaced as a whole or not at all.`,
		Example: "  zerobus generate-proto --uc-endpoint https://dbc-a1b2c3d4-e5f6.cloud.databricks.com --table main.default.orders --output orders.proto\n" +
			"  zerobus generate-proto --ddl orders.sql --proto-msg Order --output order.proto --descriptor-out order.desc\n" +
			"  zerobus generate-proto --delta /lake/orders --output -\n" +
			"  zerobus generate-proto --table main.default.orders --check order.proto",
		Args: cobra.NoArgs,
	}
	var g generateFlags
	f := cmd.Flags()
	// The environment is no default of a flag: help would show it, secrets included.
	f.StringVar(&g.endpoint, "uc-endpoint", "", "`URL` of the workspace (default $"+workspaceVar+")")
	f.StringVar(&g.id, "client-id", "", "client `id` of the principal (default $"+idVar+")")
	f.StringVar(&g.secret, "client-secret", "", "its `secret`; prefer the environment (default $"+secretVar+")")
	f.StringVar(&g.ca, "ca", "", "`file` of a certificate authority to trust beside the system's")
	f.StringVar(&g.table, "table", "", "`table` to read, CATALOG.SCHEMA.TABLE (default $"+tableVar+")")
	f.StringVar(&g.ddl, "ddl", "", "`file` with a CREATE TABLE statement to read instead")
	f.StringVar(&g.delta, "delta", "", "`directory` of a Delta table to read instead")
	f.StringVar(&g.output, "output", "", ".proto `file` to write")
	f.StringVar(&g.descriptor, "descriptor-out", "", "`file` to write the serialized DescriptorProto to")
	f.StringVar(&g.message, "proto-msg", "", "`name` of the message (default the last part of the table's name; with --check the file's only message)")
	f.StringVar(&g.check, "check", "", "`file` to compare with the table")
	f.BoolVar(&g.asJSON, "json", false, "print what --check finds as JSON")
	cmd.RunE = command(func(cmd *cobra.Command, _ []string) error {
		if err := g.validate(f.Changed); err != nil {
			return err
		}
		source, err := g.source(cmd.InOrStdin())
		if err != nil {
			return err
		}
		if err := g.run(cmd, source); err != nil {
			return interrupted(cmd.Context(), err)
		}
		return nil
	})
	return cmd
}

// interrupted says so where an error comes of nothing else.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// generateFlags are the flags of one call. stdio stands for standard input and output among the files.
type generateFlags struct {
	endpoint, id, secret, ca string
	table, ddl, delta        string
	output, descriptor       string
	message                  string
	check                    string
	asJSON                   bool
}

const stdio = "-"

// validate finds what the flags say that cannot be, before anything is read.
func (g *generateFlags) validate(given func(flag string) bool) error {
	for _, pair := range [][2]string{
		{"ddl", "delta"},
		{"ddl", "uc-endpoint"},
		{"ddl", "client-id"},
		{"ddl", "client-secret"},
		{"ddl", "ca"},
		{"delta", "uc-endpoint"},
		{"delta", "client-id"},
		{"delta", "client-secret"},
		{"delta", "ca"},
		{"check", "output"},
		{"check", "descriptor-out"},
	} {
		if given(pair[0]) && given(pair[1]) {
			return &usageError{fmt.Sprintf("--%s and --%s exclude each other", pair[0], pair[1])}
		}
	}
	switch {
	case g.output == "" && g.descriptor == "" && g.check == "":
		return &usageError{"nothing to do: give --output, --descriptor-out or --check"}
	case g.asJSON && g.check == "":
		return &usageError{"--json goes with --check"}
	case g.ddl == stdio && g.check == stdio:
		return &usageError{"standard input (-) is named twice"}
	case sameFile(g.output, g.descriptor):
		return &usageError{fmt.Sprintf("--output and --descriptor-out are both %s", g.output)}
	case g.ddl != stdio && (sameFile(g.ddl, g.output) || sameFile(g.ddl, g.descriptor)):
		return &usageError{fmt.Sprintf("%s would be read and written over", g.ddl)}
	case g.message != "" && !g.validMessage():
		return &usageError{fmt.Sprintf("--proto-msg %q: a message has a name of ASCII letters, digits and underscores, and no digit first", g.message)}
	}
	return nil
}

// validMessage reports whether the message's name can be one. That of a message in a file may be full, with its package.
func (g *generateFlags) validMessage() bool {
	if g.check != "" {
		return protoreflect.FullName(g.message).IsValid()
	}
	return protoreflect.Name(g.message).IsValid()
}

func (g *generateFlags) run(cmd *cobra.Command, source tableSource) error {
	table, err := source(cmd.Context())
	if err != nil {
		return err
	}
	if g.check != "" {
		return g.compare(cmd, table)
	}
	return g.generate(cmd, table)
}

// generate makes all outputs, writes them, and says so on standard error.
func (g *generateFlags) generate(cmd *cobra.Command, table sourceTable) error {
	message := g.message
	if message == "" {
		message = table.shortName()
		if !protoreflect.Name(message).IsValid() {
			return fmt.Errorf("table %s: %q is no name for a message, which has ASCII letters, digits and underscores, and no digit first: "+
				"give one with --proto-msg", table.name, message)
		}
	}
	text, descriptor, err := protoOf(table, message)
	if err != nil {
		return err
	}
	var outs outputs
	outs.add(g.output, text)
	outs.add(g.descriptor, descriptor)
	if err := outs.write(cmd.Context(), cmd.OutOrStdout()); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s: message %s, %s\n", outs.names(), message, fieldCount(len(table.columns.Fields)))
	return nil
}

// protoOf is the table's message as .proto text and as a serialized DescriptorProto.
func protoOf(table sourceTable, message string) (text, descriptor []byte, err error) {
	file, err := table.columns.Proto(message)
	if err != nil {
		return nil, nil, fmt.Errorf("table %s: %w", table.name, err)
	}
	descriptor, err = proto.MarshalOptions{Deterministic: true}.Marshal(file.GetMessageType()[0])
	return []byte(schema.FormatProto(file)), descriptor, err
}

func fieldCount(n int) string {
	if n == 1 {
		return "1 field"
	}
	return count(n) + " fields"
}

// readLimited reads a small file, or standard input for "-". name is what messages call it.
func readLimited(ctx context.Context, path string, stdin io.Reader, most int64) (name string, data []byte, err error) {
	in := input{name: path, path: path}
	if path == stdio {
		in.name, in.path = stdinName, ""
	}
	r, err := in.open(ctx, stdin, func(int64) {})
	if err != nil {
		return in.name, nil, err
	}
	defer r.close()
	data, err = io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case ctx.Err() != nil:
		return in.name, nil, ctx.Err()
	case err != nil:
		return in.name, nil, fmt.Errorf("read %s: %w", in.name, err)
	case int64(len(data)) > most:
		return in.name, nil, fmt.Errorf("read %s: it has more than %s", in.name, bytesText(most))
	}
	return in.name, data, nil
}
