import Platform

/// Loads and calls the system's pacparser, which has the functions of proxy scripts and an old SpiderMonkey.
///
/// A script can crash the engine, so it runs only in the process of ``EvaluateCommand``. The engine reports errors of a
/// script on standard error.
struct PacparserEngine {
    private typealias Start = @convention(c) () -> Int32
    private typealias SetAddress = @convention(c) (UnsafePointer<CChar>) -> Int32
    private typealias Parse = @convention(c) (UnsafeRawPointer?) -> Int32
    private typealias Find =
        @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>?

    private static let names = ["libpacparser.so.1", "libpacparser.so", "libpacparser.dylib"]

    /// Defines `alert`, which browsers have for debugging and the engine lacks. It stands on the script's first line,
    /// so that line numbers stay right. A function `alert` of the script replaces it.
    private static let prelude = Array("function alert() {} ".utf8)

    private let start: Start
    private let setAddress: SetAddress
    private let parse: Parse
    private let find: Find

    /// Nil if the library is missing, or lacks the functions.
    init?() {
        guard let library = Self.names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first,
            let start = dlsym(library, "pacparser_init"), let setAddress = dlsym(library, "pacparser_setmyip"),
            let parse = dlsym(library, "pacparser_parse_pac_string"), let find = dlsym(library, "pacparser_find_proxy")
        else { return nil }
        // The types are those of the library's header, which is the same in all versions.
        self.start = unsafeBitCast(start, to: Start.self)
        self.setAddress = unsafeBitCast(setAddress, to: SetAddress.self)
        self.parse = unsafeBitCast(parse, to: Parse.self)
        self.find = unsafeBitCast(find, to: Find.self)
    }

    /// Returns the result of the script's `FindProxyForURL(url, host)`; nil after an error, which is on standard error.
    ///
    /// Called once in a process. Nothing is freed, because the process ends afterwards.
    func answer(of script: [UInt8], url: String, host: String) -> [UInt8]? {
        // By default the engine looks up this machine's name, which is often 127.0.1.1. Scripts want the network's
        // address.
        if let address = Self.ownAddress() { _ = setAddress(address) }
        guard start() != 0 else { return nil }
        let isRead = (Self.prelude + script + [0]).withUnsafeBytes { parse($0.baseAddress) != 0 }
        guard isRead, let answer = find(url, host) else { return nil }
        return Array(UnsafeRawBufferPointer(start: answer, count: strlen(answer)))
    }

    /// The IPv4 address from which this machine reaches the internet; nil without a route.
    private static func ownAddress() -> String? {
        #if canImport(Glibc)
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        #else
        let descriptor = socket(AF_INET, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // A documentation address (RFC 5737). Connecting a datagram socket chooses a route and sends nothing.
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(9).bigEndian
        name.sin_addr.s_addr = UInt32(0xC000_0201).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isKnown = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isKnown, name.sin_addr.s_addr != 0 else { return nil }
        let value = UInt32(bigEndian: name.sin_addr.s_addr)
        return stride(from: 24, through: 0, by: -8).map { "\(value >> UInt32($0) & 0xFF)" }.joined(separator: ".")
    }
}
