/// A program's insides in what a person reads: names of types and cases, lists in brackets, paths of the build.
public enum Insides {
    private static let marks = [
        "NIOSSL", "NIOCore", "NIOPosix", "NIOConnection", "BoringSSL", "sslError", "unknownError", "handshakeFailed",
        "shutdownFailed", "uncleanShutdown", "failedToLoad", "failedToValidate", "invalidSNI", "IOError",
        "ChannelError",
        "ioOnClosedChannel", "connectTimeout(", "inputClosed", "DecodingError", "CodingKeys", "SocketAddressError",
        "OPENSSL_internal", "(errno", "errno:", "([", "Error(", "Optional(", "Domain=", "Swift.", "Tunnel.", "Mux.",
        ".swift:", ".cc:", "/checkouts/", "_FAILED", "_ALERT_",
    ]

    /// The first of them that shows in a text; nil for a text that is plain.
    public static func found(in text: String) -> String? { marks.first(where: text.contains) }
}
