import torch
import torch.nn.functional as F

import toolbox


def test_a_converted_network_computes_what_the_published_one_does() -> None:
    weight, bias, image = torch.randn(3, 3, 5, 5), torch.randn(3), torch.rand(1, 3, 8, 9)
    network = toolbox.convert({"minimal.weight": weight, "minimal.bias": bias})
    torch.testing.assert_close(network(image), F.conv2d(image, weight, bias, padding=2))
