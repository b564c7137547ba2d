import io.delta.storage.LocalLogStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Commits to a local disk beside other programs. Delta's own store for {@code file:} keeps its threads apart only: it looks whether
 * the version is there, writes a temporary file and renames it, which may replace a commit that came in between. A link does not.
 */
public final class LinkLogStore extends LocalLogStore {
  public LinkLogStore(Configuration conf) {
    super(conf);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
    if (overwrite) {
      super.write(path, actions, true, conf);
      return;
    }
    java.nio.file.Path commit = java.nio.file.Path.of(path.toUri().getPath());
    java.nio.file.Path whole = commit.resolveSibling("." + commit.getFileName() + "." + UUID.randomUUID() + ".tmp");
    List<String> lines = new ArrayList<>();
    actions.forEachRemaining(lines::add);
    try {
      Files.write(whole, lines, StandardOpenOption.CREATE_NEW, StandardOpenOption.SYNC);
      Files.createLink(commit, whole); // throws the FileAlreadyExistsException that Delta expects
    } finally {
      Files.deleteIfExists(whole);
    }
  }
}
