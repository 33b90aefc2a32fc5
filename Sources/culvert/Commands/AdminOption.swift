import Tunnel

/// Reads the texts of `--admin`.
enum AdminOption {
    /// The word for no standard socket.
    static let none = "none"

    /// The places at which a role serves its operator.
    ///
    /// - Parameters:
    ///   - texts: addresses, or `none` to have no standard socket.
    ///   - standardSocket: the path of the standard socket; nil if there is no folder for it.
    ///   - failure: makes an error from a description.
    static func places(
        _ texts: [String],
        standardSocket: String?,
        _ failure: (String) -> Failure
    ) throws(Failure) -> AdminPlaces {
        var places = AdminPlaces(standardSocket: texts.contains(none) ? nil : standardSocket)
        for text in texts where text != none {
            guard let address = ListenAddress(text) else {
                throw failure("expected ADDR:PORT with an IP address, for instance 127.0.0.1:9100, unix:/PATH, or none")
            }
            places.addresses.append(address)
        }
        return places
    }

    /// The path of a running role's socket; nil if the text names none.
    static func socketPath(_ text: String) -> String? {
        guard case .unix(let path)? = ListenAddress(text) else { return nil }
        return path
    }
}
