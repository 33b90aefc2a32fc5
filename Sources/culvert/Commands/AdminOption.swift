import Tunnel

/// The text of `--admin`.
enum AdminOption {
    /// Where `status` and `kick` look for a role unless they are told.
    static let standard = "unix:/run/culvert/admin.sock"

    /// Reads it where a role is to listen.
    static func address(_ text: String, _ failure: (String) -> Failure) throws(Failure) -> ListenAddress {
        guard let address = ListenAddress(text) else {
            throw failure("expected ADDR:PORT with an IP address, for instance 127.0.0.1:9100, or unix:/PATH")
        }
        return address
    }

    /// Reads it where a role is to be found: the path of its socket; nil where it names none.
    static func socketPath(_ text: String) -> String? {
        guard case .unix(let path)? = ListenAddress(text) else { return nil }
        return path
    }
}
