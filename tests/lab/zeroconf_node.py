"""zeroconf_node ADDRESS 4|6: registers and browses _teale._tcp with python3-zeroconf, on one address of this machine. For
Debian's own Python, as mdnsnet.Zeroconf runs it. Lines in:

    register NAME PORT ADDRESS TXT-HEX...     also "update"; "-" is an empty string
    unregister NAME

Lines out: "ready", "registered NAME", "seen NAME ADDRESS PORT TXT", "lost NAME"."""
import socket
import sys

from zeroconf import InterfaceChoice, IPVersion, ServiceBrowser, ServiceInfo, Zeroconf

TYPE = "_teale._tcp.local."


def txt_of(words):
    out = b""
    for word in words:
        text = b"" if word == "-" else bytes.fromhex(word)
        out += bytes([len(text)]) + text
    return out or b"\0"


def info_of(name, port, address, *txt):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ServiceInfo(TYPE, f"{name}.{TYPE}", addresses=[socket.inet_pton(family, address)], port=int(port),
                       properties=txt_of(txt), server=f"z-{name.replace(' ', '-')}.local.")


class Listener:
    def show(self, zc, kind, full):
        info = zc.get_service_info(kind, full, 3000)
        if info and info.addresses:
            name = full[:-len(TYPE) - 1]
            print("seen", name, socket.inet_ntoa(info.addresses[0]), info.port, info.text[1:].decode(), flush=True)

    add_service = update_service = show

    def remove_service(self, zc, kind, full):
        print("lost", full[:-len(TYPE) - 1], flush=True)


def main(address, version):
    interfaces = [address] if version == "4" else InterfaceChoice.All
    zc = Zeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only if version == "4" else IPVersion.All)
    ServiceBrowser(zc, TYPE, Listener())
    print("ready", flush=True)
    for line in sys.stdin:
        verb, name, *rest = line.split()
        if verb == "register":
            zc.register_service(info_of(name, *rest))
            print("registered", name, flush=True)
        elif verb == "update":
            zc.update_service(info_of(name, *rest))
        elif verb == "unregister":
            zc.unregister_service(zc.registry.async_get_info_name(f"{name}.{TYPE}".lower()))
    zc.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
