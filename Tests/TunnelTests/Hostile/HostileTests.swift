import Testing

/// Server and client against peers that break every rule, each in this process and over real sockets.
///
/// One at a time: some measure the processors' time and count sockets.
@Suite("Against hostile peers", .serialized)
enum HostileTests {}

extension Tag {
    /// Its subject is a real timeout, so that it takes seconds whatever the machine.
    @Tag static var slow: Self
}
