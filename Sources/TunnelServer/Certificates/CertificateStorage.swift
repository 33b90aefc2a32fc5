import ACME
import ByteText
import Crypto
import Platform

/// The folder of a CA's account and certificates: `STORAGE/HOST-HASH`, one for each directory, so that certificates of a
/// trial CA are not taken for another one's.
///
/// ```
/// _account.pem   the account's key
/// _account.url   the account's URL
/// NAME.pem       the key and the chain of a name
/// ```
///
/// No name begins with an underscore. All files have mode 0600. A file is complete before it gets its name.
struct CertificateStorage: Sendable {
    /// Bytes of the longest file that is read.
    static let longestFile = ACMELimits.chain + ACMELimits.answer
    /// Certificates that are kept in memory, and files of them that are read at the start.
    static let mostFiles = 2 * ACMELimits.names
    /// Seconds after its end at which a certificate's file is removed.
    static let keptAfterEnd: Int64 = 30 * 86_400

    /// The folder.
    let folder: String

    /// Makes the folder if it is not there.
    ///
    /// - Throws: ``ServerError/configuration(_:)``.
    init(_ storage: String, for directory: ACMEURL) throws(ServerError) {
        let hash = Base16.encoded(SHA256.hash(data: Array(directory.description.utf8)).prefix(4))
        // A host has no slash; an address of IPv6 has colons, which a file name may have.
        folder = "\(storage)/\(directory.place.host.lowercased())-\(hash)"
        for path in [storage, folder] {
            guard mkdir(path, 0o700) != 0 else { continue }
            let number = errno
            var status = stat()
            guard number == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw Self.failure(path, "cannot be made", number == EEXIST ? ENOTDIR : number)
            }
            guard status.st_mode & 0o077 == 0 || chmod(path, 0o700) == 0 else {
                throw Self.failure(path, "must have mode 0700, which cannot be set", errno)
            }
        }
        guard access(folder, R_OK | W_OK | X_OK) == 0 else {
            throw Self.failure(folder, "cannot be written", errno)
        }
    }

    private static func failure(_ path: String, _ what: String, _ number: Int32) -> ServerError {
        let reason = String(cString: strerror(number))
        return .configuration(
            "storage of [acme]: the folder \(path) \(what): \(reason); name one of this server's user"
        )
    }

    // MARK: The account

    private var keyFile: String { "\(folder)/_account.pem" }
    private var accountFile: String { "\(folder)/_account.url" }

    /// The account's key; a new one is written if there is none.
    ///
    /// - Returns: the key, and a line about a file that had to be replaced.
    func accountKey() throws(ServerError) -> (key: AccountKey, problem: String?) {
        let text = read(keyFile)
        if let text, let key = AccountKey(pem: String(decoding: text, as: UTF8.self)) { return (key, nil) }
        let key = AccountKey()
        guard write(key.pem, to: keyFile) else { throw Self.failure(folder, "cannot be written", errno) }
        unlink(accountFile)
        let isThere = text != nil
        return (key, isThere ? "\(keyFile): it holds no key on P-256; it was replaced, and a new account is made" : nil)
    }

    /// The account's URL; nil if there is none, or no usable one.
    func account() -> ACMEURL? {
        read(accountFile).flatMap { bytes in
            try? ACMEURL(String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self))
        }
    }

    /// Keeps the account's URL. Without it the CA names it again.
    @discardableResult
    func keep(account: ACMEURL) -> Bool { write("\(account)\n", to: accountFile) }

    // MARK: Certificates

    /// The path of a name's file. A long name is shortened, since file systems allow 255 bytes.
    func path(of name: CertificateName) -> String {
        // A name has letters, digits, dots and inner hyphens only, and does not begin with a dot: it stays in the folder.
        guard name.text.utf8.count > 180 else { return "\(folder)/\(name.text).pem" }
        return "\(folder)/\(name.text.prefix(100))-\(Base16.encoded(SHA256.hash(data: Array(name.text.utf8)))).pem"
    }

    /// Keeps a certificate.
    ///
    /// - Returns: nil, or why it cannot be kept.
    func keep(_ certificate: IssuedCertificate) -> String? {
        let path = path(of: certificate.name)
        guard !write(certificate.pem, to: path) else { return nil }
        let reason = String(cString: strerror(errno))
        return "\(path) cannot be written: \(reason); the certificate is lost at the next restart"
    }

    /// The certificate of a name; nil if there is none that can be used.
    func certificate(of name: CertificateName) -> IssuedCertificate? {
        read(path(of: name)).flatMap { try? IssuedCertificate(stored: $0, for: name) }
    }

    /// The certificates that are there.
    ///
    /// - Parameter now: seconds since 1970. Files of certificates that ended long before are removed.
    /// - Returns: the certificates, and a line for each file that holds none.
    func certificates(now: Int64) -> (found: [IssuedCertificate], problems: [String]) {
        var (found, problems): ([IssuedCertificate], [String]) = ([], [])
        for file in files() {
            let path = "\(folder)/\(file)"
            guard let bytes = read(path) else {
                problems.append("\(path) cannot be read; it is replaced by the next certificate")
                continue
            }
            do throws(IssuedCertificate.Problem) {
                let certificate = try IssuedCertificate(stored: bytes, for: nil)
                guard self.path(of: certificate.name) == path else { throw .otherName }
                if certificate.notAfter < now - Self.keptAfterEnd {
                    unlink(path)
                } else {
                    found.append(certificate)
                }
            } catch {
                problems.append("\(path) holds no certificate: \(error.rawValue); it is replaced by the next one")
            }
        }
        return (found, problems)
    }

    private func files() -> [String] {
        guard let entries = opendir(folder) else { return [] }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries), names.count < Self.mostFiles {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".pem"), name != "_account.pem" { names.append(name) }
        }
        return names.sorted()
    }

    // MARK: Files

    private func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.longestFile
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let read = bytes[count...].withUnsafeMutableBytes { Platform.read(descriptor, $0.baseAddress, $0.count) }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { break }
            count += read
        }
        return Array(bytes.prefix(count))
    }

    /// Replaces a file, complete or not at all. The folder is synchronised too, so that the new name survives a crash.
    private func write(_ text: String, to path: String) -> Bool {
        let draft = "\(path).new"
        // Left by a process that ended meanwhile; only one process has the folder.
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return false }
        var isWritten = Self.write(Array(text.utf8), to: descriptor) && fsync(descriptor) == 0
        isWritten = close(descriptor) == 0 && isWritten
        guard isWritten, rename(draft, path) == 0 else {
            let number = errno
            unlink(draft)
            errno = number
            return false
        }
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
        return true
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var count = 0
        while count < bytes.count {
            let written = bytes[count...].withUnsafeBytes { Platform.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            count += written
        }
        return true
    }
}
