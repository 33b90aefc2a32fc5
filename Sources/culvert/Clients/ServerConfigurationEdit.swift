import Platform
import Tunnel

/// Changes a server's configuration file: the whole new text is checked before it takes the place of the old one.
struct ServerConfigurationEdit {
    /// The file that packages install.
    static let standardPath = "/etc/culvert/server.toml"

    /// The file, with links followed.
    let path: String
    var entries: ClientEntries
    /// Other commands wait until this process has ended.
    private let file: LockedFile

    /// Locks and reads a configuration.
    ///
    /// - Throws: the first mistake in it, since a change must not hide one.
    init(_ path: String) throws(Failure) {
        guard let real = realpath(path, nil) else {
            let reason = String(cString: strerror(errno))
            throw Failure(.configuration, "the configuration \(path): \(reason); name the server's with --config")
        }
        self.path = String(cString: real)
        free(real)
        file = try LockedFile(self.path)
        try Self.check(self.path, shownAs: self.path)
        entries = ClientEntries(
            try TextFile.read(self.path, what: "configuration", limit: ConfigurationFile.maximumLength)
        )
    }

    /// The number of a client's entry.
    ///
    /// - Throws: a failure that names the clients that there are.
    func index(of name: String) throws(Failure) -> Int {
        if let index = entries.index(of: name) {
            guard entries.entries.count(where: { $0.name == name }) == 1 else {
                throw Failure(.configuration, "\(path) has several clients \(name); give them different names first")
            }
            return index
        }
        let names = entries.entries.map(\.name)
        let near = SpellingSuggestion.nearest(name, among: names).map { "; did you mean \($0)?" }
        let list = names.isEmpty ? "; it has no [[client]]" : "; it has \(names.joined(separator: ", "))"
        throw Failure(.usage, "\(path) has no client \(name.escapedForDisplay())\(near ?? list)")
    }

    /// The failure of a change to an entry that is not written as `[[client]]`.
    func unusual(_ name: String) -> Failure {
        Failure(
            .configuration,
            "\(path): the entry of \(name) is not written as [[client]] with a line for each key; edit it"
        )
    }

    /// Checks the new text, and puts it in the place of the old one. Owner, group and mode stay.
    func save() throws(Failure) {
        let draft = "\(path).\(getpid())"
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure() }
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure() }
        defer { unlink(draft) }
        defer { close(descriptor) }
        let bytes = Array(entries.text.utf8)
        guard bytes.withUnsafeBytes({ Output.write($0, to: descriptor) }) == bytes.count else { throw failure() }
        // The draft keeps mode 0600 until here, so that the check warns of the file's own mode alone.
        try Self.check(draft, shownAs: path)
        // Only root may give a file away, and its own files need not be.
        if status.st_uid != geteuid() || status.st_gid != getegid() {
            guard fchown(descriptor, status.st_uid, status.st_gid) == 0 else { throw failure() }
        }
        guard fchmod(descriptor, status.st_mode & 0o7777) == 0, fsync(descriptor) == 0 else { throw failure() }
        // An editor takes no lock.
        guard LockedFile.version(of: path) == file.version else {
            throw Failure(.configuration, "\(path) has changed meanwhile, and is left as it is; run this command again")
        }
        guard rename(draft, path) == 0 else { throw failure() }
    }

    private func failure() -> Failure {
        let reason = String(cString: strerror(errno))
        return Failure(
            .configuration,
            "\(path) cannot be changed: \(reason); run this command as the file's owner, or as root"
        )
    }

    private static func check(_ path: String, shownAs shown: String) throws(Failure) {
        let problems = ConfigurationProblems(path, isTrial: true)
        do {
            _ = try ServerCommand.parse(["--config", path]).read(problems)
        } catch {
            throw Failure(.bug, error.userDescription)
        }
        guard let status = problems.status, let line = problems.firstLine else { return }
        throw Failure(status, line.replacing(path, with: shown))
    }
}
