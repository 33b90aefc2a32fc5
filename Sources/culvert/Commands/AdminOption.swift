import Tunnel

/// Reads the text of `--admin`.
enum AdminOption {
    /// The socket at which `status`, `kick` and `renew` find a role by default.
    static let standard = "unix:/run/culvert/admin.sock"

    /// The address at which a role listens.
    static func address(_ text: String, _ failure: (String) -> Failure) throws(Failure) -> ListenAddress {
        guard let address = ListenAddress(text) else {
            throw failure("expected ADDR:PORT with an IP address, for instance 127.0.0.1:9100, or unix:/PATH")
        }
        return address
    }

    /// The path of a running role's socket; nil if the text names none.
    static func socketPath(_ text: String) -> String? {
        guard case .unix(let path)? = ListenAddress(text) else { return nil }
        return path
    }
}
