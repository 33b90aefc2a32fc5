import NIOCore
import NIOPosix
import NetworkAddress

/// The addresses of this machine's interfaces.
package enum MachineAddresses {
    /// The addresses now; empty if the system does not say.
    package static var current: Set<IPAddress> {
        let devices = (try? System.enumerateDevices()) ?? []
        return Set(devices.compactMap { $0.address?.ip?.unmapped })
    }
}
