import Platform
import Seal
import TunnelCore

/// The file of a server's private key.
struct ServerKeyFile {
    /// The limit of the file's length in bytes, beyond any key.
    static let longestFile = 1_024
    private static let what = "key file"

    let path: String

    /// Why there is no key.
    struct Unusable: Error {
        /// One line with the file and a remedy.
        let text: String
        /// Whether the file is there, and must be corrected.
        let isMistake: Bool
    }

    /// The key in the file; a new one if there is no file.
    ///
    /// If two processes make the file at once, both get the same key.
    ///
    /// - Parameter isTrial: whether a missing file is left missing.
    /// - Returns: the key, nil for a file that is left missing, and whether the file was made.
    func key(isTrial: Bool = false) throws(Unusable) -> (key: ServerKey?, isNew: Bool) {
        var isNew = false
        if TextFile.isMissing(path) {
            if isTrial { return (nil, false) }
            isNew = try make()
        }
        return (try read(), isNew)
    }

    private func make() throws(Unusable) -> Bool {
        let remedy = "choose a file that the server can write, with --key-file"
        if let folder = PrivateFolder.parent(of: path), let reason = PrivateFolder.make(folder) {
            throw Unusable(text: "the \(Self.what) \(path) cannot be made: \(reason); \(remedy)", isMistake: false)
        }
        do throws(Failure) {
            let line = SecretFile.withoutLineEnd(ServerKey().text)
            return try PrivateFile.make(path, line: line, what: Self.what, remedy: remedy)
        } catch {
            throw Unusable(text: error.description, isMistake: false)
        }
    }

    private func read() throws(Unusable) -> ServerKey {
        if SecretFile.isReadableByOthers(path) {
            let text = "others on this machine can read the \(Self.what) \(path)"
            throw Unusable(text: "\(text); chmod 600 it, or remove it if they may have read it", isMistake: true)
        }
        let text: String
        do throws(Failure) {
            text = try TextFile.read(path, what: Self.what, limit: Self.longestFile)
        } catch {
            let isMistake = error.status == .badData
            let remedy =
                isMistake ? "restore it from a backup" : "choose a file that the server can read, with --key-file"
            throw Unusable(text: "\(error.description); \(remedy)", isMistake: isMistake)
        }
        guard let key = ServerKey(text: text) else {
            throw Unusable(
                text:
                    "the \(Self.what) \(path) does not hold one line culvert-private-key-1:...; restore it from a backup",
                isMistake: true
            )
        }
        return key
    }
}
