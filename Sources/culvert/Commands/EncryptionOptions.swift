import Seal
import Tunnel

/// Reads the options of sealed sessions, from flags or a file.
enum EncryptionOptions {
    /// - Parameter failure: makes an error from a description.
    static func policy<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> EncryptionPolicy {
        guard let policy = EncryptionPolicy(rawValue: text) else { throw failure("expected auto, required or off") }
        return policy
    }

    /// A server's public key. The error does not repeat the text, which may be a private one.
    ///
    /// - Parameter failure: makes an error from a description.
    static func key<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> ServerPublicKey {
        guard let key = ServerPublicKey(text: text) else {
            throw failure("expected culvert-key-1:..., as `culvert key` prints it on the server")
        }
        return key
    }

    /// The contradiction between a client's options; nil without one.
    static func conflict(_ policy: EncryptionPolicy, hasKeys: Bool, isCompressing: Bool) -> Conflict? {
        switch policy {
        case .off where hasKeys: .keys
        case .required where isCompressing: .compression
        case .auto, .required, .off: nil
        }
    }

    /// Options of a client that contradict each other.
    enum Conflict {
        case keys, compression

        /// The key of the file with the mistake.
        var key: String {
            switch self {
            case .keys: "server_key"
            case .compression: "compress"
            }
        }

        /// The flags that contradict each other.
        var flags: String {
            switch self {
            case .keys: "--server-key with --encryption off"
            case .compression: "--compress with --encryption required"
            }
        }

        /// The reason and a remedy.
        var description: String {
            switch self {
            case .keys: "a session without the seal proves no key; leave out one of them"
            // The lengths of messages that are compressed and sealed give away what they have in common (CRIME).
            case .compression: "a sealed session is not compressed; leave out one of them"
            }
        }
    }
}
